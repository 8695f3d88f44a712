"""Guards of what the commands show and end, each with a test that notices."""

from tests.mutants.mutant import Mutant

CANCEL = "tests/unit/test_cli_cancel.py::"
COST = "tests/unit/test_cli_cost.py::"
PAUSE = "tests/unit/test_cli_pause.py::"
APPS = "tests/integration/test_celery_cli.py::"

OF_COMMANDS = (
    Mutant(
        "an unknown price is 0 in a sum",
        "askonce/cli/ledger.py",
        "self.micro_usd / _MICROS if self.is_priced else None",
        "self.micro_usd / _MICROS",
        f"{COST}test_one_unknown_price_makes_the_sum_unknown_and_never_0",
    ),
    Mutant(
        "two pauses in one are taken for either",
        "askonce/cli/pause.py",
        "    if len(given) != 1:\n",
        "    given = given[:1]\n    if not given:\n",
        f"{PAUSE}test_pause_that_names_nothing_or_two_things_is_refused[options1-pause]",
    ),
    Mutant(
        "half a file is cancelled",
        "askonce/cli/cancel.py",
        "        for _ in read_keys(name):\n            pass\n",
        "",
        f"{CANCEL}test_long_file_whose_last_line_is_no_key_ends_nothing",
    ),
    Mutant(
        "a producer goes on with a run that is cancelled",
        "askonce/cli/cancel.py",
        "told = store.runs.ask_to_stop(name, why)",
        "told = False",
        f"{CANCEL}test_producer_of_the_run_is_asked_to_stop_before_its_jobs_end",
    ),
    Mutant(
        "tasks that an app imports late are unknown",
        "askonce/cli/app.py",
        "    app.loader.import_default_modules()\n",
        "",
        f"{APPS}test_task_that_the_app_imports_later_is_known",
    ),
    Mutant(
        "a message is sent to a queue that nobody reads",
        "askonce/adapters/celery/dead_messages.py",
        "if known is not None or not any(name in each.queues for each in store.announcements.workers()):",
        "if known is not None:",
        f"{APPS}test_dead_message_goes_back_to_a_queue_that_only_a_worker_names",
    ),
)
