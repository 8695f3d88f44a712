"""Guards of long transcripts, whose parts are paid once, each with a test that notices."""

from tests.mutants.mutant import Mutant

QUESTIONS = "tasks/meetings/questions.py"
PARTS = "tests/unit/test_meeting_questions.py::"
CANCELLED = "tests/unit/test_meeting_cancelled.py::"

#: What a part of a long transcript is, and what its end does to its meeting.
OF_MEETINGS = (
    Mutant(
        "tenants share the parts of transcripts",
        QUESTIONS,
        "identify(self._resources.part, payload, attempt.tenant, run=attempt.run)",
        "identify(self._resources.part, payload, run=attempt.run)",
        f"{PARTS}test_parts_of_another_tenant_are_other_calls",
    ),
    Mutant(
        "the attempts of a part are multiplied",
        QUESTIONS,
        "Transient(failed.reason, max_attempts=attempt.number)",
        "Transient(failed.reason)",
        f"{PARTS}test_part_whose_attempts_are_spent_ends_its_meeting_at_once",
    ),
    Mutant(
        "a forced meeting gets its old parts",
        QUESTIONS,
        "max_age=self._max_age(attempt)",
        "max_age=None",
        f"{PARTS}test_forced_meeting_reads_every_part_anew",
    ),
    Mutant(
        "a part that rests ends its meeting with a stale answer",
        QUESTIONS,
        "replace(resources.caller, serve_stale=False)",
        "resources.caller",
        f"{PARTS}test_forced_meeting_reads_every_part_anew",
    ),
    Mutant(
        "a caller gets a stale answer that it does not want",
        "askonce/inline.py",
        "_answer_of(self._with_its_stale(ended), key)",
        "_answer_of(ended, key)",
        "tests/unit/test_inline.py::test_caller_that_wants_no_stale_answer_is_told_why_there_is_none",
    ),
    Mutant(
        "a long transcript keeps its slot",
        QUESTIONS,
        "attempt.is_cancelled() or (self._has_called and self._seconds_left() <= 0)",
        "attempt.is_cancelled()",
        f"{PARTS}test_meeting_that_took_long_gives_its_slot_back_between_parts",
    ),
    Mutant(
        "a long transcript is put back for ever",
        QUESTIONS,
        "(self._has_called and self._seconds_left() <= 0)",
        "self._seconds_left() <= 0",
        f"{PARTS}test_kept_parts_do_not_use_up_the_time_of_a_meeting",
    ),
    Mutant(
        "a cancelled long transcript pays for all of its parts",
        QUESTIONS,
        "attempt.is_cancelled() or (",
        "(",
        f"{CANCELLED}test_cancelled_meeting_begins_no_other_part_and_its_waiters_are_told",
    ),
    Mutant(
        "no body learns that its job is cancelled",
        "askonce/execute.py",
        "            is_cancelled=lambda: held.cancelled,\n",
        "",
        f"{CANCELLED}test_cancelled_meeting_asks_for_no_joined_summary",
    ),
    Mutant(
        "a meeting forgets the parts that it does not come to again",
        "askonce/started.py",
        "return found if found.calls > before.calls else before",
        "return found",
        f"{CANCELLED}test_meeting_that_comes_to_fewer_parts_than_before_cost_no_less",
    ),
    Mutant(
        "blank text is paid",
        QUESTIONS,
        '    if is_blank(text):\n        raise Permanent("blank_text")\n',
        "",
        f"{PARTS}test_blank_part_is_final_and_never_paid[]",
    ),
    Mutant(
        "a meeting books what its parts have booked",
        QUESTIONS,
        "            paid=NOTHING,\n            caused=whole.caused,\n",
        "",
        "tests/unit/test_meetings.py::test_long_meeting_is_sent_in_parts_and_summarised_once",
    ),
    Mutant(
        "any text is retrieved as a response",
        "tasks/providers/openai/two_steps.py",
        "if not is_usable(note.response):",
        "if not note.response:",
        "tests/unit/test_two_steps.py::test_reference_that_is_no_id_names_no_response[a/b]",
    ),
    Mutant(
        "a response ends only under the id that it was asked for by",
        "tasks/providers/openai/two_steps.py",
        "            return _done(content)\n",
        "            return _done(content) if standing(content).response == response else None\n",
        "tests/unit/test_two_steps_proxy.py::test_response_is_read_though_each_reply_gives_it_another_id",
    ),
    Mutant(
        "a body without an id ends a response",
        "tasks/providers/openai/two_steps.py",
        "found.pending or not found.response else",
        "found.pending else",
        "tests/unit/test_two_steps_proxy.py::test_body_without_an_id_is_no_end_of_a_response[reply0]",
    ),
)
