"""Guards of log lines and of what strangers write, each with a test that notices."""

from tests.mutants.mutant import Mutant

DONE = "tests/unit/test_job_done.py::"
LINE = "tests/unit/test_line.py::"
LOGS = "tests/unit/test_logs.py::"
CORRELATION = "tests/unit/transport/test_correlation.py::"
OF_LINE, OF_FORMS, OF_EXECUTOR = "askonce/line.py", "settings/logs.py", "askonce/execute.py"

OF_LOGS = (
    Mutant(
        "a stranger ends a line",
        OF_LINE,
        'each if each.isprintable() else "?"',
        'each if each != "?" else "?"',
        f"{LINE}test_hostile_character_becomes_a_question_mark",
    ),
    Mutant(
        "JSON moves a cursor",
        OF_LINE,
        "each if each.isprintable() else _escape(each)",
        'each if each != "?" else _escape(each)',
        f"{LINE}test_hostile_character_is_escaped_in_json_and_keeps_its_value",
    ),
    Mutant(
        "a cell is a formula",
        OF_LINE,
        "if line.lstrip().startswith(_FORMULA) else line",
        "if not line else line",
        f"{LINE}test_cell_of_text_is_no_formula",
    ),
    Mutant(
        "a line of a traceback looks like a record",
        OF_LINE,
        'f"  {one_line(line)}"',
        "one_line(line)",
        f"{LINE}test_no_line_of_a_traceback_looks_like_a_record",
    ),
    Mutant(
        "a traceback of another formatter is written",
        OF_LINE,
        "        record.exc_text = None\n",
        "",
        f"{LINE}test_traceback_that_another_handler_left_is_not_trusted",
    ),
    Mutant(
        "words of a library end a line",
        OF_FORMS,
        'text = one_line(" ".join(',
        'text = str(" ".join(',
        f"{LOGS}test_hostile_name_writes_one_line",
    ),
    Mutant(
        "a library's line has no job",
        OF_FORMS,
        'if "job" not in line and (job := calling_job()):',
        'if "job" in line and (job := calling_job()):',
        f"{LOGS}test_line_that_is_written_within_a_call_has_its_job",
    ),
    Mutant(
        "half of a pair of code units stops a line",
        OF_FORMS,
        "except orjson.JSONEncodeError:",
        "except ZeroDivisionError:",
        f"{LOGS}test_hostile_name_writes_one_line",
    ),
    Mutant(
        "an overtaken failure costs nothing in the log",
        OF_EXECUTOR,
        "EventType.JOB_FENCED, job, **ran, **why, **spend.known)",
        "EventType.JOB_FENCED, job, **ran, **why)",
        f"{DONE}test_failure_of_an_overtaken_run_is_paid_and_no_end_of_its_job",
    ),
    Mutant(
        "a job that is overtaken looks stored",
        OF_EXECUTOR,
        "**ran, **cost, **run.requests)\n                return\n",
        '**ran, **cost, **run.requests)\n                outcome = "done"\n',
        f"{DONE}test_answer_of_an_overtaken_run_is_paid_and_no_end_of_its_job",
    ),
    Mutant(
        "each message of a failed job is an end",
        OF_EXECUTOR,
        "                if decision.unrun:\n",
        "                if decision.failure:\n",
        f"{DONE}test_further_messages_of_a_failed_job_are_no_end",
    ),
    Mutant(
        "a job that its start ended has no end",
        "askonce/decide.py",
        "._replace(unrun=True)",
        "._replace(unrun=False)",
        f"{DONE}test_job_that_ends_before_its_run_has_an_end",
    ),
    Mutant(
        "a hit without the store is told to nobody",
        "askonce/store_down/calls.py",
        "                report_reused(self._listen, job, result)\n",
        "",
        f"{DONE}test_hits_without_the_store_are_no_ends",
    ),
    Mutant(
        "a call without the store has no end",
        "askonce/store_down/calls.py",
        '        report_done(self._listen, delivery.job, "unstored", made.costs.paid, **end)\n',
        "        del end\n",
        f"{DONE}test_call_without_the_store_is_an_end",
    ),
    Mutant(
        "an answer that is made anew has expired",
        "askonce/decide.py",
        "if record.value is not None and not record.value.fresh:",
        "if record.value is not None:",
        f"{DONE}test_fresh_answer_that_is_made_anew_has_not_expired",
    ),
    Mutant(
        "a service puts any text into the line",
        "tasks/providers/correlation.py",
        "and is_word and",
        "and",
        f"{CORRELATION}test_id_of_a_request_that_is_no_word_is_not_kept",
    ),
)
