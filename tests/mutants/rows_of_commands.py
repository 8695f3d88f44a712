"""Guards of whose jobs and answers the commands mean, each with a test that notices."""

from tests.mutants.mutant import Mutant

FUNCTIONS = "tests/unit/cli/test_functions.py::"
GET = "tests/unit/cli/test_get.py::"
ROWS = "tests/integration/test_commands_of_tasks.py::"

OF_ROWS_OF_COMMANDS = (
    Mutant(
        "commands know no defaults of a task",
        "askonce/adapters/celery/app.py",
        "return identify(found.job_spec, found.bind_row((), payload), tenant)",
        "return identify(found.job_spec, payload, tenant)",
        f"{ROWS}test_each_command_means_the_job_of_the_tasks_own_callers",
    ),
    Mutant(
        "rows of commands are enqueued without the defaults of their task",
        "askonce/adapters/celery/app.py",
        "found.enqueue(payload, **options)",
        "self.producer.enqueue(found.job_spec, payload, **options)",
        f"{ROWS}test_what_was_asked_for_ahead_is_paid_once",
    ),
    Mutant(
        "a slot pays for what callers have paid already",
        "askonce/adapters/celery/slot_task.py",
        "enqueue=once.enqueue,",
        "enqueue=lambda task, row, **more: once.producer.enqueue(once.specs[task], row, **more),",
        "tests/integration/test_celery_schedule.py::test_slot_asks_for_the_jobs_of_the_tasks_own_callers",
    ),
    Mutant(
        "cached functions have no records",
        "askonce/cli/site.py",
        "return task in specs or is_function(task)",
        "return task in specs",
        f"{FUNCTIONS}test_name_needs_no_record_yet[pause-fn.forecast]",
    ),
    Mutant(
        "any name is taken for a cached function's",
        "askonce/job.py",
        "return task.startswith((FUNCTIONS, VALUES))",
        "return task.lower().startswith((FUNCTIONS, VALUES))",
        f"{FUNCTIONS}test_name_of_another_form_is_a_slip[Fn.forecast]",
    ),
    Mutant(
        "a list without answers of a function is taken for a slip",
        "askonce/cli/choosing.py",
        "not has_records(task, site.specs)",
        "task not in site.specs",
        f"{FUNCTIONS}test_list_without_any_of_a_function_is_no_slip[cache list-fn.forecast]",
    ),
    Mutant(
        "a value is shown as people write it, not as JSON",
        "askonce/cli/kept.py",
        'known["value"] = to_json(facts["value"])',
        'known["value"] = _as_text(facts["value"])',
        f"{GET}test_value_is_shown_as_json_whatever_it_is[None]",
    ),
    Mutant(
        "a job that ended is said to be none",
        "askonce/cli/result.py",
        "state_of(record).value",
        "record.status.value",
        f"{GET}test_state_without_an_answer_is_the_one_of_the_list_of_jobs[cancelled]",
    ),
)
