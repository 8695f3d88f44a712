"""Guards of pauses, of cancelled runs and of run records."""

from tests.mutants.mutant import Mutant
from tests.mutants.scripts import of_script

CONTROLS = "tests/contract/test_store_controls.py::"
CANCELLING = "tests/contract/test_store_cancelling.py::"
DELIVERIES = "tests/integration/test_kombu_redis.py::"
LAST_CALLS = "tests/contract/test_store_cancelled_calls.py::"
NO_ANSWER = f"{LAST_CALLS}test_cancelled_call_that_gives_no_answer_is_the_last"
LEASES = "tests/unit/test_lease.py::"
OF_TASK = "[Pause(scope='task', name='orders')]"
RUNS = "tests/contract/test_runs.py::"
STOPS = "tests/unit/test_run_stops.py::"
QUEUES = "tests/fault/test_paused_queues.py::"
FORGOTTEN, OF_FORGOTTEN = "askonce/adapters/celery/forgotten.py", "tests/unit/test_forgotten.py::"

OF_STOPPING = (
    of_script(
        "a message that goes back counts as sent long ago",
        "pauses",
        "set(r, {fl = 'queued', at = NOW, dl = deadline(r, r.rep)})",
        "set(r, {fl = 'queued', dl = deadline(r, r.rep)})",
        f"{CONTROLS}test_message_that_went_back_is_not_lost_by_what_was_delivered_before",
    ),
    of_script(
        "any pause gives messages back",
        "start",
        "local returns = r.queue_paused and ARGV[7] == '1'",
        "local returns = ARGV[7] == '1'",
        f"{CONTROLS}test_message_of_a_queue_that_is_not_paused_is_not_given_back{OF_TASK}",
    ),
    of_script(
        "the end of a pause forgets most of its jobs",
        "control",
        "#aside == RESUMED_LOOKS and 1 or 0",
        "0",
        f"{CONTROLS}test_every_job_that_a_pause_put_aside_is_taken_up_again",
    ),
    of_script(
        "a cancelled run takes what others share",
        "cancel_run",
        "if is_shared then",
        "if false then",
        f"{CANCELLING}test_cancelled_run_takes_its_own_queued_jobs_and_no_others",
    ),
    of_script(
        "a cancelled run takes any run's jobs",
        "cancel_run",
        "if of[1] == run and",
        "if of[1] and",
        f"{CANCELLING}test_cancelled_run_takes_its_own_queued_jobs_and_no_others",
    ),
    of_script(
        "a call under way is not cancelled",
        "ends",
        "if not is_cancelled(r) then set(r, {ek",
        "if false then set(r, {ek",
        f"{LAST_CALLS}test_record_shows_that_its_call_is_the_last",
    ),
    of_script(
        "a cancelled run leaves its calls to be made again",
        "cancel_run",
        "    cancel_running(r)\n",
        "",
        f"{LAST_CALLS}test_cancelled_run_cancels_the_calls_that_no_other_run_shares",
    ),
    of_script(
        "a cancelled call that fails is made again",
        "fail",
        "and not spent and is_cancelled(r) then",
        "and false then",
        f"{NO_ANSWER}[a failure for now]",
        "a cancelled call that fails is made again",
    ),
    of_script(
        "a cancelled call that is given back is made later",
        "park",
        "local cancelled = is_cancelled(r)",
        "local cancelled = false",
        f"{NO_ANSWER}[a lease given back]",
        "a cancelled call that is given back is made later",
    ),
    of_script(
        "a cancelled call of a dead worker is made again",
        "reap",
        "    if is_cancelled(r) then return ended(r, 'cancelled') end\n",
        "",
        f"{NO_ANSWER}[a reaper]",
        "a cancelled call of a dead worker is made again",
    ),
    of_script(
        "a second worker makes a cancelled call again",
        "start",
        "  if is_cancelled(r) then return end_as('cancelled') end\n",
        "",
        f"{NO_ANSWER}[a second worker]",
        "a second worker makes a cancelled call again",
    ),
    of_script(
        "a caller goes on with a cancelled job whose worker is lost",
        "admit",
        "if r.fl == 'running' and is_cancelled(r) and",
        "if false and",
        f"{LAST_CALLS}test_caller_of_a_cancelled_call_whose_worker_is_lost_gets_a_new_job",
    ),
    of_script(
        "a caller who asks after the cancel is told of it",
        "attach",
        "  if is_cancelled(r) then\n",
        "  if false then\n",
        f"{LAST_CALLS}test_caller_who_asks_after_the_cancel_gets_the_next_call[night]",
    ),
    of_script(
        "a renewal does not tell of a cancel",
        "renew",
        "return is_cancelled(r) and 'cancelled' or 'ok'",
        "return 'ok'",
        f"{LAST_CALLS}test_renewal_tells_of_a_cancel_to_the_job_that_it_ends_alone",
    ),
    of_script(
        "a job that is given back forgets what it caused to be paid",
        "park",
        "if ARGV[5] ~= '' then set(r, {sp = ARGV[5]}) end\n",
        "",
        "tests/contract/test_store_spent.py::"
        "test_cancelled_job_has_what_it_caused_to_be_paid_before_it_was_put_back[under way]",
    ),
    Mutant(
        "a cancelled call loses its lease",
        "askonce/lease.py",
        "if reply in (Renewal.OK, Renewal.CANCELLED):",
        "if reply is Renewal.OK:",
        f"{LEASES}test_cancelled_lease_is_renewed_and_not_doubted",
    ),
    Mutant(
        "a lease remembers a cancel that a caller undid",
        "askonce/lease.py",
        "False, reply is Renewal.CANCELLED",
        "False, held.cancelled or reply is Renewal.CANCELLED",
        f"{LEASES}test_lease_whose_job_is_cancelled_knows_it_until_a_renewal_says_otherwise",
    ),
    Mutant(
        "who waited before the cancel undoes it",
        "askonce/inline.py",
        "if not record.is_cancelled or self.clock() >= give_up_at:",
        "if True:",
        "tests/unit/test_cancelled_calls.py::"
        "test_inline_caller_who_waited_before_the_cancel_does_not_undo_it",
    ),
    of_script(
        "two producers have one run",
        "hold",
        "if left > 0 and holder ~= ARGV[2] then",
        "if false then",
        f"{RUNS}test_second_producer_of_a_run_is_told_who_has_it",
    ),
    of_script(
        "a producer that lost its run ends it",
        "release",
        "if redis.call('HGET', key, 'holder') ~= ARGV[2] then return 0 end",
        "",
        f"{RUNS}test_run_of_a_dead_producer_is_free_exactly_at_its_time",
    ),
    Mutant(
        "a message of a paused queue goes behind all others",
        "askonce/adapters/kombu/put_first.py",
        "if restore is None:",
        "if True:",
        f"{QUEUES}test_queue_that_is_paused_again_and_again_is_worked_off_in_its_order",
    ),
    Mutant(
        "a delivery is held for ever after a lost ack",
        "askonce/adapters/kombu/redis.py",
        "        finally:\n            virtual.QoS.ack(self, delivery_tag)\n\n    def reject(",
        "        except ValueError:\n            pass\n        else:\n"
        "            virtual.QoS.ack(self, delivery_tag)\n\n    def reject(",
        f"{DELIVERIES}test_delivery_that_could_not_be_settled_comes_again[ack]",
    ),
    Mutant(
        "a delivery is held for ever after a lost requeue",
        "askonce/adapters/kombu/redis.py",
        "        finally:\n            virtual.QoS.ack(self, delivery_tag)\n\n    def restore_visible(",
        "        except ValueError:\n            pass\n        else:\n"
        "            virtual.QoS.ack(self, delivery_tag)\n\n    def restore_visible(",
        f"{DELIVERIES}test_delivery_that_could_not_be_settled_comes_again[requeue]",
    ),
    Mutant(
        "a delivery is held for ever after a lost put_first",
        "askonce/adapters/kombu/put_first.py",
        "    finally:\n",
        "    except ValueError:\n        pass\n    else:\n",
        f"{DELIVERIES}test_delivery_that_could_not_be_settled_comes_again[put_first]",
    ),
    Mutant(
        "a message on its way to a cancelled queue goes behind all others",
        "askonce/adapters/kombu/redis.py",
        "if queue and queue not in callbacks:",
        "if False:",
        f"{DELIVERIES}test_message_on_its_way_to_a_cancelled_queue_stays_the_first[shop:]",
    ),
    Mutant(
        "what waits in a worker goes back in the wrong order",
        "askonce/adapters/celery/paused_queues.py",
        "for message in reversed(returned):",
        "for message in returned:",
        f"{QUEUES}test_messages_that_wait_in_a_worker_go_back_in_order[threads]",
    ),
    Mutant(
        "a worker that starts does not look for pauses",
        "askonce/adapters/celery/paused_queues.py",
        "pauses = once.process().pause_watch.look()",
        "pauses = None",
        f"{QUEUES}test_worker_that_starts_takes_nothing_of_a_paused_queue",
    ),
    Mutant(
        "the end of a pause takes up what an operator cancelled",
        "askonce/adapters/celery/paused_queues.py",
        "            self._held.pop(queue, None)\n",
        "",
        f"{QUEUES}test_resume_takes_up_only_queues_that_the_pause_stopped",
    ),
    Mutant(
        "a job whose call fails after the stop is called again",
        "producer/run/run.py",
        "ends = self._cancel(self._following.handles)",
        "ends = self._following.handles",
        f"{STOPS}test_job_under_way_whose_call_fails_after_the_stop_is_not_called_again",
    ),
    Mutant(
        "a run that waits for nobody leaves what it enqueued after the cancel",
        "producer/run/stops.py",
        "if not run.waits:\n        cancel_run",
        "if False:\n        cancel_run",
        f"{STOPS}test_run_that_waits_for_nobody_ends_what_it_enqueued_before_it_heard_of_a_cancel",
    ),
    Mutant(
        "who lost a run ends the jobs of the one who has it",
        "producer/run/hold.py",
        'works on this run now", TAKEN)',
        'works on this run now", LIMIT_REACHED, cancels=True)',
        f"{STOPS}test_producer_whose_run_another_one_has_leaves_its_jobs_to_that_one",
    ),
    Mutant(
        "a call whose job was paused in the line is made",
        "tasks/providers/openai/pace.py",
        "> SOON and self._is_paused():",
        "> SOON and False:",
        "tests/unit/test_model_pace.py::"
        "test_call_whose_job_was_paused_while_it_waited_for_its_turn_is_not_made[waited]",
    ),
    Mutant(
        "a job that waits for the end of another is forgotten",
        FORGOTTEN,
        "if len(active) >= self._consumer.pool.num_processes:",
        "if False:",
        f"{OF_FORGOTTEN}test_job_that_waits_for_the_end_of_another_is_not_forgotten",
    ),
    Mutant(
        "a job that waits for a slot is forgotten",
        FORGOTTEN,
        "reserved - active - self._before_the_pool()",
        "reserved - active",
        f"{OF_FORGOTTEN}test_jobs_behind_one_that_is_lost_keep_their_order_and_the_first_gets_its_slot",
    ),
    Mutant(
        "a job that is lost again comes again as soon",
        FORGOTTEN,
        "LOOKS << min(_DOUBLED, self._given_back[job])",
        "LOOKS",
        f"{OF_FORGOTTEN}test_job_that_is_lost_again_is_waited_for_longer",
    ),
    Mutant(
        "a message without a request is held for ever",
        FORGOTTEN,
        "if tag not in known and",
        "if False and",
        f"{OF_FORGOTTEN}test_message_that_nothing_waits_for_is_given_back",
    ),
    Mutant(
        "one look is enough to be forgotten",
        FORGOTTEN,
        "self._times.get(tag, 0) + 1",
        "self._times.get(tag, 0) + LOOKS",
        f"{OF_FORGOTTEN}test_only_what_each_look_finds_is_given_back",
    ),
    Mutant(
        "the name of a message is its task",
        FORGOTTEN,
        "self._is_ours(request.type)",
        "self._is_ours(request.name)",
        f"{OF_FORGOTTEN}test_message_whose_task_may_not_run_twice_is_kept[plain]",
    ),
    Mutant(
        "a message that may not come twice is given back",
        FORGOTTEN,
        'isinstance(task, str) and hasattr(self._consumer.app.tasks.get(task), "job_spec")',
        "True",
        f"{OF_FORGOTTEN}test_message_whose_task_may_not_run_twice_is_kept[unknown]",
    ),
    Mutant(
        "a message of a paused queue is forgotten",
        FORGOTTEN,
        "known |= self._consumer.app.askonce.paused_queues.returned",
        "known |= set()",
        f"{OF_FORGOTTEN}test_message_that_waits_for_something_is_kept[goes_back_to_a_paused_queue]",
    ),
    Mutant(
        "a job that was forgotten keeps its slot",
        FORGOTTEN,
        "self._consumer.controller.semaphore.release()",
        "pass",
        f"{OF_FORGOTTEN}test_job_that_waits_in_a_pool_with_a_free_process_is_given_back_with_its_slot",
    ),
    Mutant(
        "a consumer that connects again looks twice",
        FORGOTTEN,
        "parent.timer.cancel(self._timer)",
        "pass",
        f"{OF_FORGOTTEN}test_consumer_that_connects_again_looks_once",
    ),
)
