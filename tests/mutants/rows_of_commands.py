"""Guards of whose jobs and answers the commands mean, each with a test that notices."""

from tests.mutants.mutant import Mutant

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
)
