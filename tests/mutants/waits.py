"""Guards of the thread that waits for all callers of a process, each with a test that notices."""

from tests.mutants.mutant import Mutant

FILE = "askonce/waiting.py"
WAITS = "tests/unit/test_waiting.py::"
ASYNC = "tests/unit/test_async.py::"
FORKS = "tests/integration/test_forks.py::"
BELLS = "tests/contract/test_store_wakeups.py::"

OF_WAITS = (
    Mutant(
        "a new handle waits for the next look",
        FILE,
        "            follower.wake()\n",
        "            pass\n",
        f"{WAITS}test_handle_that_comes_while_others_wait_is_followed_at_once",
    ),
    Mutant(
        "a cancelled wait is kept",
        FILE,
        "        if future.cancelled():\n            self._cancelled.append(waiter)\n",
        "        del waiter, future\n",
        f"{WAITS}test_cancelled_wait_is_forgotten_and_its_job_goes_on",
    ),
    Mutant(
        "a cancelled wait is given its answer",
        FILE,
        "        if not self.future.set_running_or_notify_cancel():\n            return\n",
        "        self.future.set_running_or_notify_cancel()\n",
        f"{WAITS}test_cancelled_wait_whose_job_has_ended_hurts_no_other",
    ),
    Mutant(
        "an error of one handle ends all waits",
        FILE,
        "            self._mistake = error\n            raise JobError from error\n",
        "            raise\n",
        f"{WAITS}test_error_that_no_handle_should_raise_ends_its_wait_only[600.0]",
    ),
    Mutant(
        "a server that is away holds up the waits for others",
        FILE,
        "        except StoreUnavailable:\n            # The",
        "        except ZeroDivisionError:\n            # The",
        f"{WAITS}test_record_whose_own_server_is_away_holds_up_no_other",
    ),
    Mutant(
        "a wait whose time is over does not look",
        FILE,
        "if result is None else result\n",
        "if True else result\n",
        f"{WAITS}test_wait_without_time_looks_once_and_subscribes_to_nothing",
    ),
    Mutant(
        "a wait has no time of its own",
        FILE,
        "ended = follower.ended(left)",
        "ended = follower.ended(1e9)",
        f"{WAITS}test_wait_ends_with_its_time_and_says_how_far_the_job_is[0.5]",
    ),
    Mutant(
        "waits are forgotten with their thread",
        FILE,
        "            follower.add(self._waiters)\n",
        "",
        f"{WAITS}test_waits_outlive_an_error_that_ends_the_thread",
    ),
    Mutant(
        "waits that ended are kept until their time",
        FILE,
        "if len(self._deadlines) > 2 * len(self._waiters) + _ENDED_KEPT:",
        "if False:",
        f"{WAITS}test_waits_that_ended_before_their_time_are_not_kept",
    ),
    Mutant(
        "a store that is down ends the waits",
        FILE,
        "        except StoreUnavailable:\n            with self._changed:\n",
        "        except StoreUnavailable as down:\n"
        "            for waiter in list(self._waiters):\n"
        "                self._drop(waiter, follower)\n"
        "                waiter.resolve(down)\n"
        "            with self._changed:\n",
        f"{WAITS}test_store_that_is_down_is_waited_for[read]",
    ),
    Mutant(
        "each handle has a thread of its own",
        "askonce/handle.py",
        "return await wrap_future(waiting.wait(self, left))",
        "return await wrap_future(type(waiting)(self._store).wait(self, left))",
        f"{ASYNC}test_handles_wait_in_one_thread",
    ),
    Mutant(
        "a child waits for its parent's callers",
        FILE,
        "        waiting.begin()\n",
        "        pass\n",
        f"{FORKS}test_child_waits_for_its_own_callers_only",
    ),
    Mutant(
        "a child has its parent's lock of all waits",
        FILE,
        "    _lock = Lock()\n    for",
        "    for",
        f"{FORKS}test_forked_child_waits_for_no_lock_of_its_parent[waits of all stores]",
    ),
    Mutant(
        "a child calls in its parent's threads",
        "askonce/off_loop.py",
        "os.register_at_fork(after_in_child=_threads.cache_clear)",
        "os.register_at_fork(after_in_child=lambda: None)",
        f"{FORKS}test_forked_child_waits_for_no_lock_of_its_parent[process]",
    ),
    Mutant(
        "who cancels a wait cancels the call",
        "askonce/off_loop.py",
        "await wrap_future(answer)",
        "await wrap_future(made)",
        f"{ASYNC}test_call_is_made_although_its_caller_is_cancelled_before_it_begins",
    ),
    Mutant(
        "a call hands its result to a loop that has closed",
        "askonce/off_loop.py",
        "    if not answer.set_running_or_notify_cancel():\n        return\n",
        "    answer.set_running_or_notify_cancel()\n",
        f"{ASYNC}test_loop_that_closes_during_a_call_is_left_in_peace",
    ),
    Mutant(
        "a call lacks the variables of its caller",
        "askonce/off_loop.py",
        "submit(copy_context().run, call)",
        "submit(call)",
        f"{ASYNC}test_calls_run_in_a_few_threads_with_the_variables_of_their_callers",
    ),
    Mutant(
        "calls take a thread each",
        "askonce/off_loop.py",
        "ThreadPoolExecutor(_AT_ONCE,",
        "ThreadPoolExecutor(64,",
        f"{ASYNC}test_calls_run_in_a_few_threads_with_the_variables_of_their_callers",
    ),
    Mutant(
        "a bell rings for ever",
        "askonce/adapters/redis/bell.py",
        "            self._inside.recv(4096)\n",
        "            pass\n",
        f"{BELLS}test_bell_that_rang_before_ends_the_next_wait_only[valkey]",
    ),
    Mutant(
        "a bell is not heard on Redis",
        "askonce/adapters/redis/bell.py",
        "            selector.register(self._inside, EVENT_READ)\n",
        "",
        f"{BELLS}test_bell_ends_a_wait_in_another_thread[valkey]",
    ),
    Mutant(
        "a bell rings for a wait under way only",
        "askonce/adapters/memory/subscription.py",
        "            self._rung = True\n",
        "",
        f"{BELLS}test_bell_that_rang_before_ends_the_next_wait_only[memory]",
    ),
)
