"""Guards of cached functions."""

from tests.mutants.mutant import Mutant
from tests.mutants.scripts import of_script

_HITS = "tests/contract/test_store_hits.py::"
_THREADS = "tests/unit/test_functions.py::"
_STALE = "tests/unit/test_functions_stale.py::"
_ALONE = "tests/unit/test_functions_alone.py::"
_LOOPS = "tests/unit/test_functions_async.py::"
_KEYS = "tests/unit/test_functions_key.py::"
_CACHE = "tests/unit/test_store_down_cache.py::"
_PUT = "tests/contract/test_store_put.py::"

OF_FUNCTIONS = (
    Mutant(
        "a stale answer of before the failed call is served",
        "askonce/functions/answering.py",
        "        if isinstance(executed, Deferred):\n",
        "        if isinstance(executed, Deferred | Failed | Skipped):\n",
        f"{_STALE}test_stale_answer_that_is_gone_when_the_call_fails_is_not_served[invalidate]",
    ),
    Mutant(
        "a stale answer has no age of now where its failure cannot be written",
        "askonce/functions/answering.py",
        "    age, since = stale.age + seconds, stale.stale_for + seconds\n",
        "    age, since = stale.age, stale.stale_for\n",
        f"{_STALE}test_stale_answer_is_served_within_its_keep_where_the_failure_cannot_be_written[3500]",
    ),
    Mutant(
        "an inline call that failed serves an answer that is stale for too long",
        "askonce/inline.py",
        "if self.serve_stale and is_within(stale.stale_for, if_error):",
        "if self.serve_stale:",
        "tests/unit/test_inline.py::test_age_of_a_stale_answer_is_that_of_the_moment_at_which_the_call_failed",
    ),
    of_script(
        "hit serves a marked answer",
        "hit",
        "read_marks(r)\n",
        "",
        f"{_HITS}test_marked_answer_is_no_hit[task]",
    ),
    of_script(
        "hit serves another payload's answer",
        "hit",
        " or fp ~= ARGV[1]",
        "",
        f"{_HITS}test_answer_to_another_payload_is_no_hit",
    ),
    of_script(
        "hit serves a stale answer",
        "hit",
        "if is_stale and not (",
        "if false and not (",
        f"{_HITS}test_answer_is_no_hit_from_the_moment_at_which_it_is_stale",
    ),
    of_script(
        "hit is not counted",
        "hit",
        "count(name, is_stale and 'stale' or 'hit', 1)\n",
        "",
        f"{_HITS}test_hit_of_an_unknown_cost_is_counted_as_that",
    ),
    Mutant(
        "a call that failed is made again by others",
        "askonce/functions/ask.py",
        "maybe_billed=True, max_attempts=1)",
        "maybe_billed=True)",
        f"{_THREADS}test_text_of_an_error_is_in_no_event",
    ),
    Mutant(
        "a message is sent for a function",
        "askonce/reaper.py",
        "            if is_of_callers(each.job):\n",
        "            if False:\n",
        f"{_THREADS}test_reaper_ends_what_a_killed_process_left_and_sends_no_message",
    ),
    Mutant(
        "each caller flies alone",
        "askonce/functions/flight.py",
        "            if end is not None:\n",
        "            if end is None and False:\n",
        f"{_THREADS}test_callers_of_one_process_get_the_same_error",
    ),
    Mutant(
        "the end of a thread is everybody's",
        "askonce/functions/threads.py",
        "        ask.is_shared = isinstance(error, Exception)\n",
        "",
        f"{_THREADS}test_end_of_a_thread_is_not_the_end_of_those_who_wait_for_it",
    ),
    Mutant(
        "a stale answer is served beyond its time",
        "askonce/functions/answering.py",
        "and is_within(stale.stale_for, ask.spec.stale_if_error)",
        "",
        f"{_STALE}test_stale_answer_that_is_kept_for_longer_is_not_served_either",
    ),
    Mutant(
        "who is served a stale answer waits for the new one",
        "askonce/functions/answering.py",
        "apart=meanwhile is not None)",
        "apart=False)",
        f"{_STALE}test_stale_answer_is_served_at_once_while_one_call_makes_it_anew",
    ),
    Mutant(
        "a refresh without the store is an old answer",
        "askonce/functions/answering.py",
        "anew=ask.force",
        "anew=False",
        f"{_ALONE}test_refresh_calls_anew_while_the_store_is_away",
    ),
    Mutant(
        "a call that is made anew has no context",
        "askonce/functions/threads.py",
        "submit(outside().run, self._go_queued, end)",
        "submit(self._go_queued, end)",
        f"{_STALE}test_answer_is_made_anew_in_the_context_of_its_caller",
    ),
    Mutant(
        "a crowd gives up the store at once",
        "askonce/functions/patience.py",
        "return now - self.since < self._seconds",
        "return False",
        f"{_ALONE}test_store_that_answers_again_in_time_saves_the_call",
    ),
    Mutant(
        "a cancelled caller stops the call",
        "askonce/functions/loops.py",
        "asyncio.shield(asyncio.wrap_future(future))",
        "asyncio.wrap_future(future)",
        f"{_LOOPS}test_caller_that_is_cancelled_stops_no_call",
    ),
    Mutant(
        "a function that ends itself is called again",
        "askonce/functions/loops.py",
        "isinstance(error, asyncio.CancelledError) and _is_cancelled()",
        "not isinstance(error, Exception)",
        f"{_LOOPS}test_function_that_ends_itself_is_called_once[abort-store]",
    ),
    Mutant(
        "the end of a loop is everybody's",
        "askonce/functions/loops.py",
        "ask.is_shared = not (isinstance(error, asyncio.CancelledError) and _is_cancelled())",
        "ask.is_shared = True",
        f"{_LOOPS}test_loop_that_ends_leaves_the_call_to_those_who_wait",
    ),
    Mutant(
        "a closed loop holds its calls",
        "askonce/functions/loops.py",
        "                    way.close()\n",
        "                    pass\n",
        f"{_LOOPS}test_loop_that_is_closed_with_a_call_under_way_holds_it_no_longer[store]",
    ),
    Mutant(
        "a task that was cancelled holds a lease",
        "askonce/functions/answering.py",
        "        if is_left.is_set():\n",
        "        if False:\n",
        f"{_LOOPS}test_lease_that_is_given_to_a_cancelled_task_is_not_held",
    ),
    Mutant(
        "a pause is told to callers without its note",
        "askonce/functions/answering.py",
        'return Raised(Postponed("paused", note=note, function=ask.name), is_shared=True)',
        'return Raised(Postponed("paused", function=ask.name), is_shared=True)',
        f"{_THREADS}test_pause_is_told_to_its_callers_at_once[all]",
    ),
    Mutant(
        "arguments are known without their types",
        "askonce/functions/arguments.py",
        "(call, *map(type, call))",
        "(call,)",
        f"{_KEYS}test_arguments_of_other_types_are_other_calls[(1, True)]",
    ),
    Mutant(
        "a call is known by its positional arguments",
        "askonce/functions/arguments.py",
        "        call = (*args, *kwargs.values()) if kwargs else args\n",
        "        call = args\n",
        f"{_KEYS}test_named_arguments_of_other_values_are_other_calls",
    ),
    Mutant(
        "a call with ignored arguments is known by what was given",
        "askonce/functions/arguments.py",
        "        if not self._is_simple:\n",
        "        if self._left_out:\n"
        "            kwargs = {name: kwargs[name] for name in self._left_out & kwargs.keys()}\n"
        "        if not self._is_simple:\n",
        f"{_KEYS}test_named_arguments_count_beside_ignored_ones",
    ),
    Mutant(
        "what a framework injects is part of the key",
        "askonce/functions/arguments.py",
        "self._left_out = frozenset(ignore) | _injected(function, parameters)",
        "self._left_out = frozenset(ignore)",
        f"{_KEYS}test_function_that_gets_what_fastapi_injects_is_called_once",
    ),
    Mutant(
        "two functions share a namespace",
        "askonce/functions/cache.py",
        "        if not taken.is_same(origin):\n",
        "        if False:\n",
        f"{_KEYS}test_two_functions_of_one_namespace_are_refused",
    ),
    Mutant(
        "functions of one factory share a namespace",
        "askonce/functions/origin.py",
        "return [*map(id, self.outer)] == [*map(id, other.outer)]",
        "return True",
        f"{_KEYS}test_functions_of_one_name_are_two_all_the_same[of a factory]",
    ),
    Mutant(
        "lambdas share a namespace",
        "askonce/functions/origin.py",
        'return "<" not in self.name and not self.outer',
        "return not self.outer",
        f"{_KEYS}test_functions_of_one_name_are_two_all_the_same[lambdas]",
    ),
    Mutant(
        "a child works with its parent's process",
        "askonce/functions/cache.py",
        "        self._process, self._lock = None, Lock()\n\n\ndef _forget",
        "        self._lock = Lock()\n\n\ndef _forget",
        "tests/integration/test_functions.py::test_forked_child_has_connections_and_answers_of_its_own",
    ),
    of_script(
        "a value is set in spite of a pause",
        "put",
        "if control(r, task, tail, '') then return 0 end",
        "control(r, task, tail, '')",
        f"{_PUT}test_pause_keeps_the_one_before",
    ),
    of_script(
        "a value that is set is in no list",
        "put",
        "note_answer(r)\n",
        "",
        f"{_PUT}test_answer_is_listed",
    ),
    of_script(
        "a run writes over a value that was set after its start",
        "put",
        "drop(r, 'own', ",
        "drop(r, ",
        f"{_PUT}test_run_under_way_is_fenced",
    ),
    of_script(
        "a run that a value overtook is not in doubt",
        "put",
        "doubt(r)\n",
        "",
        f"{_PUT}test_forgotten_run_is_in_doubt_until_its_late_write",
    ),
    Mutant(
        "an answer from before an invalidation is kept",
        "askonce/store_down/cache.py",
        "            if asked is not None and asked != self.epoch:\n                return\n",
        "",
        f"{_CACHE}test_answer_that_was_asked_for_before_an_invalidation_is_not_kept",
    ),
    Mutant(
        "a recent answer is served for as long as it is fresh",
        "askonce/store_down/cache.py",
        "if now - entry.put_at >= within or now >= entry.ends_at:",
        "if now >= entry.ends_at:",
        f"{_CACHE}test_recent_answer_is_given_for_its_time_only",
    ),
    Mutant(
        "entries have no bound",
        "askonce/store_down/cache.py",
        " or len(self._entries) > self._max_entries:",
        ":",
        f"{_CACHE}test_no_more_entries_are_kept_than_allowed",
    ),
)
