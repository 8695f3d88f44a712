"""Guards of decisions, listeners, threads and the link's breaker, each with a test that notices."""

from tests.mutants.mutant import Mutant

DECISIONS = "tests/contract/test_decisions.py::"
BREAKER = "tests/integration/test_link_breaker.py::"
LISTENERS = "tests/integration/test_listeners.py::"

#: What a process does with a store's reply, and with a server that does not answer.
OF_DECISIONS = (
    Mutant(
        "a damaged answer is refused for ever",
        "askonce/decide.py",
        "    if _is_damaged(decision):\n",
        "    if False:\n",
        f"{DECISIONS}test_damaged_answer_admits_a_new_job[memory]",
    ),
    Mutant(
        "a new claim finds the damaged answer",
        "askonce/decide.py",
        "claim.terms._replace(force=True, stale_while_revalidate=0.0)",
        "claim.terms",
        f"{DECISIONS}test_damaged_answer_admits_a_new_job[memory]",
    ),
    Mutant(
        "a missing codec is paid for again",
        "askonce/decide.py",
        "isinstance(unreadable, AnswerUnreadable) and not unreadable.codec",
        "isinstance(unreadable, AnswerUnreadable)",
        f"{DECISIONS}test_answer_in_a_missing_codec_is_never_paid_again[memory-Policy.LEAVE]",
    ),
    Mutant(
        "an unknown tag counts as damage",
        "askonce/answer.py",
        "    _require_codec(tag)\n    length",
        "    length",
        f"{DECISIONS}test_answer_in_a_missing_codec_is_never_paid_again[memory-Policy.RUN]",
    ),
    Mutant(
        "an inline call joins a running job's run",
        "askonce/decide.py",
        "if not running and record.wait <= 0:",
        "if record.wait <= 0:",
        f"{DECISIONS}test_inline_call_runs_a_queued_job_but_no_running_one[memory]",
    ),
    Mutant(
        "an inline call forgets the rest",
        "askonce/decide.py",
        "if not running and record.wait <= 0:",
        "if not running:",
        f"{DECISIONS}test_inline_call_waits_while_a_queued_job_rests[memory]",
    ),
    Mutant(
        "a repeated claim forgets the rest",
        "askonce/decide.py",
        "if policy is Policy.RUN and record.wait > 0:",
        "if False:",
        f"{DECISIONS}test_inline_call_waits_while_a_queued_job_rests[memory]",
    ),
    Mutant(
        "a job that is sent again counts as new",
        "askonce/decide.py",
        "run = Run(job=record.job, record=record, new=False, stale=stale, meanwhile=meanwhile)",
        "run = Run(job=record.job, record=record, stale=stale, meanwhile=meanwhile)",
        f"{DECISIONS}test_job_that_is_sent_again_is_not_new[memory]",
    ),
    Mutant(
        "a resting job looks busy",
        "askonce/decide.py",
        "            return Wait(job=record.job, rest=record.wait)\n",
        "            return Wait(job=record.job)\n",
        f"{DECISIONS}test_worker_waits_for_a_busy_or_resting_job[memory]",
    ),
    Mutant(
        "a permanent failure shows stale answers",
        "askonce/freshness.py",
        'case None | "transient" | "quarantined" | "expired":',
        'case None | "transient" | "quarantined" | "expired" | "permanent":',
        f"{DECISIONS}test_only_a_permanent_failure_hides_the_stale_answer[memory-permanent]",
    ),
    Mutant(
        "a spent job hides the stale answer",
        "askonce/freshness.py",
        'case None | "transient" | "quarantined" | "expired":',
        'case None | "transient" | "expired":',
        f"{DECISIONS}test_only_a_permanent_failure_hides_the_stale_answer[memory-quarantined]",
    ),
    Mutant(
        "a configuration failure shows stale ones",
        "askonce/freshness.py",
        'case None | "transient" | "quarantined" | "expired":',
        'case None | "transient" | "quarantined" | "expired" | "configuration":',
        f"{DECISIONS}test_rest_after_a_failure_shows_the_stale_answer_by_its_kind[memory-configuration-False]",
    ),
    Mutant(
        "an unreadable stale answer is raised",
        "askonce/freshness.py",
        "        # The caller is no worse off than without one.\n        return None\n",
        "        raise\n",
        f"{DECISIONS}test_unreadable_stale_answer_is_left_out[memory]",
    ),
    Mutant(
        "a listener's error reaches the caller",
        "askonce/events.py",
        "except Exception as error:  # noqa: BLE001  # as the docstring promises",
        "except KeyError as error:",
        f"{LISTENERS}test_decision_is_made_although_the_listener_raises",
    ),
    Mutant(
        "a listener's error fills the log",
        "askonce/events.py",
        "    if (kind, type(error)) in _logged:\n",
        "    if False:\n",
        f"{LISTENERS}test_listener_that_raises_is_logged_once_for_each_event",
    ),
    Mutant(
        "a thread ends with its first error",
        "askonce/background.py",
        "                Signal().wait(_REST)\n",
        "                return\n",
        f"{LISTENERS}test_thread_goes_on_after_an_error_and_emits_its_class",
    ),
    Mutant(
        "a thread hides its errors",
        "askonce/background.py",
        "emit(listen, EventType.THREAD_RESTARTED, thread=name, reason=type(error).__name__)",
        "pass",
        f"{LISTENERS}test_thread_goes_on_after_an_error_and_emits_its_class",
    ),
    Mutant(
        "the link hides answers from its breaker",
        "askonce/adapters/redis/link.py",
        "            breaker.answered()\n",
        "            pass\n",
        f"{BREAKER}test_link_forgets_its_errors_with_the_next_answer",
    ),
    Mutant(
        "all threads of a process ask its server at once",
        "askonce/adapters/redis/link.py",
        "with self._turns:\n            # Asked in its turn",
        "if True:\n            # Asked in its turn",
        "tests/unit/test_link_turns.py::test_few_round_trips_are_under_way_at_once",
    ),
    Mutant(
        "the link hides errors from its breaker",
        "askonce/adapters/redis/link.py",
        "            breaker.failed()\n",
        "            pass\n",
        f"{BREAKER}test_link_opens_its_breaker_after_three_lost_calls",
    ),
    Mutant(
        "an open breaker holds back every call",
        "askonce/adapters/redis/link.py",
        "if self.breaker.rest and not always and not self.breaker.allows():",
        "if self.breaker.rest and not self.breaker.allows():",
        f"{BREAKER}test_call_that_always_goes_closes_an_open_breaker",
    ),
    Mutant(
        "a process that stood still makes its call",
        "askonce/execute.py",
        "if run.began - asked_at >= lease.seconds:",
        "if False:",
        "tests/unit/test_execute_stood_still.py::test_process_that_stood_still_past_its_lease_does_not_pay",
    ),
    Mutant(
        "a record of a newer version costs the answer",
        "askonce/execute.py",
        "            except JobError:\n                # The store does",
        "            except TimeoutError:\n                # The store does",
        "tests/unit/test_execute_unstored.py::test_answer_of_a_newer_record_is_stored_when_it_can_be",
    ),
    Mutant(
        "the first unstored answer holds up the others",
        "askonce/store_down/spill.py",
        "self._waiting.rotate(-1)",
        "pass",
        "tests/unit/test_store_down_spill.py::test_answer_that_keeps_failing_holds_up_no_other[1-down]",
    ),
)
