"""Guards of what the commands show and end, each with a test that notices."""

from tests.mutants.mutant import Mutant

CANCEL = "tests/unit/cli/test_cancel.py::"
COST = "tests/unit/test_cli_cost.py::"
PAUSE = "tests/unit/cli/test_pause.py::"
JOBS = "tests/unit/cli/jobs/"
DEAD = "tests/unit/cli/test_dead.py::"
ACTS = "tests/unit/cli/test_acts.py::"
QUEUE = "tests/unit/cli/test_queue.py::"
STANDING = "askonce/cli/standing.py"
AUDIT = "tests/unit/cli/test_audit.py::"
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
        "a cancel that left a record alone has done all",
        "askonce/cli/cancel.py",
        "bool(self.invalid or self.counts[Cancellation.UNREADABLE])",
        "bool(self.invalid)",
        f"{CANCEL}test_unreadable_record_is_left_alone_and_the_rest_is_cancelled[options1]",
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
    Mutant(
        "a list shows the token that authorises writes",
        "askonce/cli/standing.py",
        'record.owner.rpartition(":")[0] if',
        "record.owner if",
        f"{JOBS}test_list.py::test_list_says_where_a_job_runs_and_keeps_the_owners_token_secret",
    ),
    Mutant(
        "a tenant is no part of the key that fields name",
        "askonce/cli/named.py",
        "return identify(spec, payload, tenant)\n        except",
        "return identify(spec, payload)\n        except",
        f"{JOBS}test_show.py::test_tenant_is_part_of_the_key_that_fields_name",
    ),
    Mutant(
        "a dry run acts",
        "askonce/cli/acts.py",
        "        if dry_run:\n",
        "        if dry_run and not keys:\n",
        f"{ACTS}test_dry_run_names_the_jobs_and_changes_nothing",
    ),
    Mutant(
        "jobs are changed although the audit took no entry",
        "askonce/cli/acts.py",
        "        write_down(site.store, verb.act, _in_words(what, chosen, keys), note)\n        counts",
        "        counts",
        f"{ACTS}test_nothing_is_done_where_the_audit_takes_no_entry[replay]",
    ),
    Mutant(
        "each name of a command is an act of its own",
        "askonce/cli/cancel.py",
        '        named = in_few_words(what, "name")\n',
        '        for named in what:\n            write_down(site.store, "cancel", named)\n',
        f"{AUDIT}test_command_is_one_entry_that_names_the_first_of_many[cancel]",
    ),
    Mutant(
        "an act of sudo is root's",
        "askonce/cli/signed.py",
        'os.environ.get("SUDO_USER") or ',
        "",
        f"{AUDIT}test_operator_may_say_who_acts_as_login_and_sudo_do[env1-eve@laptop]",
    ),
    Mutant(
        "a pause leaves no trace of who paused",
        "askonce/cli/pause.py",
        '        write_down(site.store, "pause", option_of(chosen), note)\n',
        "",
        f"{AUDIT}test_verb_writes_down_who_what_and_why[pause --task rates.fetch]",
    ),
    Mutant(
        "a shell's variable that is not set chooses all jobs",
        "askonce/cli/choosing.py",
        "        if not value:\n",
        "        if value is None:\n",
        f"{ACTS}test_empty_name_chooses_no_job[cancel-run]",
    ),
    Mutant(
        "one record of a newer version stops a command for many",
        "askonce/replay.py",
        "    except LayoutNewer as exc:\n",
        "    except LayoutNewer as exc:\n        raise\n",
        f"{DEAD}test_record_of_a_newer_version_is_left_alone_and_the_others_are_discarded",
    ),
    Mutant(
        "a purge ends the jobs of other queues",
        "askonce/cli/queue.py",
        "            and job.record.routing.queue == name\n",
        "",
        f"{QUEUE}test_purge_with_cancel_ends_the_jobs_of_the_queue_and_no_others",
    ),
    Mutant(
        "a job waits for workers of its task's version",
        STANDING,
        "        spec = replace(site.specs[task], version=version, model=model)\n",
        "        spec = site.specs[task]\n",
        f"{JOBS}test_show.py::test_job_of_another_version_than_its_task_waits_for_workers_with_its_own"
        "[only another]",
    ),
    Mutant(
        "a delayed job that is due has lost its message",
        STANDING,
        "record.now / 1000 < record.due_at + REASON_KEPT_FOR",
        "False",
        f"{JOBS}test_show.py::test_delayed_job_is_due_for_as_long_as_one_that_rested_and_then_lost",
    ),
    Mutant(
        "a delayed job rests",
        STANDING,
        "return record.failure is not None if record.parked is None else record.parked.times > 0",
        "return True",
        f"{JOBS}test_list.py::test_list_says_whether_a_job_that_is_not_due_rests_or_was_delayed",
    ),
    Mutant(
        "a purge that left a job alone has done all",
        "askonce/cli/queue.py",
        'Exit.FAILED if ended["unreadable"] else Exit.OK',
        "Exit.OK",
        f"{QUEUE}test_purge_whose_job_was_left_alone_has_not_done_all",
    ),
    Mutant(
        "a job waits in the queue of its task",
        STANDING,
        'queue = record.routing.queue if record.routing else ""',
        'queue = ""',
        "tests/unit/test_explain.py::test_queued_job_waits_for_workers_of_its_own_queue[of none]",
    ),
)
