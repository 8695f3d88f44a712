"""Guards of what people see of the model's service, each with a test that notices."""

from tests.mutants.mutant import Mutant

AWAY = "tests/unit/test_away.py::"
CURES = "tests/unit/test_shown_cures.py::"
JOBS = "tests/unit/cli/jobs/test_show.py::"
LISTED = "tests/unit/test_listed_models.py::"
PROGRESS = "tests/unit/test_progress.py::"
TRIAL = "tests/integration/test_model_trial.py::"
OF_TRIAL = "tasks/providers/openai/trial.py"

OF_SHOWN = (
    Mutant(
        "a failure for good does not say how to ask again",
        "tasks/reasons.py",
        '        "permanent": "Then: python -m producer submit TASK FILE --retry-failed",\n',
        "",
        f"{CURES}test_result_of_a_failed_job_says_what_to_change",
    ),
    Mutant(
        "a board that nobody follows counts",
        "askonce/pace/away.py",
        "if now > max(state.at, rest.until) + _FOLLOWED_FOR:",
        "if False:",
        f"{AWAY}test_board_that_nobody_follows_any_more_is_not_listed",
    ),
    Mutant(
        "a short rest is an outage",
        "askonce/pace/away.py",
        "or rest is None or not rest.probing:",
        "or rest is None:",
        f"{AWAY}test_provider_that_takes_calls_is_not_listed",
    ),
    Mutant(
        "a person is told at each look",
        "producer/run/watch.py",
        "                self._told.add(name)\n",
        "",
        f"{AWAY}test_person_is_told_once_for_each_provider_and_reason",
    ),
    Mutant(
        "a person is told of any model",
        "producer/run/watch.py",
        'if each.subject.endswith(f" {self._model}"):',
        "if True:",
        f"{AWAY}test_person_is_not_told_of_another_model",
    ),
    Mutant(
        "the store writes on a terminal",
        "producer/run/watch.py",
        'told = one_line(": ".join(',
        'told = str(": ".join(',
        f"{AWAY}test_what_stands_on_a_board_stays_one_line",
    ),
    Mutant(
        "a timeout hides the open calls",
        "askonce/pace/gate.py",
        'error.data["reason"] = f"timeout@open:{among}"',
        "pass",
        "tests/unit/test_timeout_open.py::test_call_that_is_late_names_how_many_were_open",
    ),
    Mutant(
        "a late call is no timeout",
        "askonce/cli/letters.py",
        'found.reason, found.reason.partition("@")[0])',
        "found.reason)",
        f"{CURES}test_dead_letters_are_chosen_by_the_word_of_their_reason[timeout-1]",
    ),
    Mutant(
        "half a list is the whole",
        "tasks/providers/openai/listed.py",
        ' or body.get("has_more") is True:',
        ":",
        f"{LISTED}test_first_page_of_a_list_says_nothing_of_the_others",
    ),
    Mutant(
        "a far end is near",
        "tasks/providers/openai/listed.py",
        "(left := (min(days) - today).days) > _SOON:",
        "(left := (min(days) - today).days) > 10**6:",
        f"{LISTED}test_model_without_an_end_that_is_known_and_near_is_sound"
        "[{'shutdown_date': '2027-02-25'}]",
    ),
    Mutant(
        "any answer follows its schema",
        OF_TRIAL,
        "    return model.judge(content, Colour)\n",
        '    return __import__("askonce").Answer(value=content)\n',
        f"{TRIAL}test_service_that_ignores_the_schema_is_refused_by_name[200_prose-responses-LLM_API=chat]",
    ),
    Mutant(
        "a cut answer is not looked for",
        OF_TRIAL,
        "return [answered, *_try_to_cut(model, settings)]",
        "return [answered]",
        f"{TRIAL}test_service_that_reports_a_cut_answer_as_whole_is_refused[200_half]",
    ),
    Mutant(
        "an ignored background is none",
        OF_TRIAL,
        "if not made.pending and not _says_background(content):",
        "if False:",
        f"{TRIAL}test_server_that_ignores_the_background_is_refused_by_name",
    ),
    Mutant(
        "the doctor calls unasked",
        "producer/mount.py",
        "*([_CALL] if call else [])",
        "_CALL",
        "tests/acceptance/test_doctor.py::test_doctor_calls_the_model_only_where_it_is_told_to",
    ),
    Mutant(
        "a display that fails ends the run",
        "producer/progress/reporter.py",
        "except (OSError, ValueError):",
        "except KeyError:",
        f"{PROGRESS}test_full_disk_does_not_end_the_run",
    ),
    Mutant(
        "a run that waits has an end in sight",
        "producer/progress/reporter.py",
        "rate if waits is None else None",
        "rate",
        f"{PROGRESS}test_wait_is_shown_with_its_time_and_without_an_end",
    ),
    Mutant(
        "a call of unknown price is free",
        "producer/progress/counts.py",
        "calls if micro_usd is None else 0",
        "0",
        f"{PROGRESS}test_unknown_money_is_counted_and_is_not_zero",
    ),
    Mutant(
        "each reason of a service is kept",
        "producer/progress/counts.py",
        "len(self.by_reason) < _REASONS",
        "True",
        f"{PROGRESS}test_memory_of_reasons_is_bounded",
    ),
    Mutant(
        "the rate is since the start",
        "producer/progress/rate.py",
        "now - samples[1][0] >= _WINDOW",
        "False",
        "tests/unit/test_progress_rate.py::test_rate_is_of_the_last_minute",
    ),
    Mutant(
        "a failed job is shown since its enqueue",
        "askonce/cli/standing.py",
        "        return record.ended_at\n",
        "        return record.admitted_at / 1000\n",
        f"{JOBS}test_since_is_when_a_job_ended",
    ),
    Mutant(
        "two sandboxes share a folder",
        "sandbox/folder.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        "tests/unit/test_sandbox_folder.py::test_second_sandbox_is_refused_and_told_who_runs",
    ),
)
