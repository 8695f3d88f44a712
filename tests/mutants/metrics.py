"""Guards of the metrics: of what is counted, of what is shown, and of what a scrape costs."""

from tests.mutants.mutant import Mutant

EXPOSITION = "tests/unit/test_metrics_exposition.py::"
SERVE = "tests/unit/test_metrics_serve.py::"
SUCCESSES = "tests/integration/test_successes.py::"
VERDICT = "tests/unit/test_verdict.py::"
QUERIES = "tests/unit/test_metric_queries.py::"
FOLDS = "tests/integration/test_redis_tally.py::"
RUNS = "tests/contract/test_store_runs_counted.py::"
READING = "tests/unit/test_metrics_reading.py::"
ALERTS = "tests/unit/test_alerts.py::"
USED = "tests/integration/test_used_queues.py::"

OF_METRICS = (
    Mutant(
        "each scrape reads anew",
        "worker/metrics/serve.py",
        "if self._clock() - self._made_at >= KEPT_FOR:",
        "if True:",
        f"{SERVE}test_a_thousand_scrapes_at_once_cost_one_reading",
    ),
    Mutant(
        "parked jobs still hold their leases",
        "worker/metrics/exposition.py",
        """_count("run", sums) + sums["parked"] + sums["lost"]""",
        """_count("run", sums) + sums["lost"]""",
        f"{EXPOSITION}test_leases_that_are_held_are_starts_without_ends",
    ),
    Mutant(
        "hits in memory count as the store's too",
        "worker/metrics/exposition.py",
        """sums["hit"] + sums["stale"] - sums["hit_in_memory"]""",
        """sums["hit"]""",
        f"{EXPOSITION}test_duplicates_are_told_by_the_place_that_knew",
    ),
    Mutant(
        "every model has series of its own",
        "worker/metrics/exposition.py",
        "if len(self._known) > _NAMES_AT_MOST:",
        "if False:",
        f"{EXPOSITION}test_models_beyond_the_limit_share_one_name_and_none_changes_its_own",
    ),
    Mutant(
        "a series is renamed",
        "worker/metrics/series.py",
        '"askonce_leases_lost_total"',
        '"askonce_lost_leases_total"',
        f"{QUERIES}test_query_reads_series_that_are_exported[alert AskonceLeasesLost]",
    ),
    Mutant(
        "a queue waits as long as its busiest priority",
        "askonce/levels.py",
        "return max((min(age, bound)",
        "return min((min(age, bound)",
        "tests/contract/test_levels.py::test_queue_waits_as_long_as_its_priority_that_waits_longest[memory]",
    ),
    Mutant(
        "a call without the store is any call",
        "askonce/store_down/calls.py",
        """(*book.amounts, ("call_without_store", 1))""",
        "book.amounts",
        "tests/unit/test_store_down_calls.py::test_call_without_the_store_is_booked_when_it_is_back",
    ),
    Mutant(
        "a day is folded again by who read it long ago",
        "askonce/adapters/redis/lua/fold.lua",
        ">= tonumber(ARGV[2])",
        "== tonumber(ARGV[2])",
        f"{FOLDS}test_folder_that_hangs_for_a_month_counts_nothing_twice[fold]",
    ),
    Mutant(
        "the sum of all days has no bound",
        "askonce/adapters/redis/lua/fold.lua",
        "MAX_SUMMED",
        "math.huge",
        f"{FOLDS}test_tenants_beyond_the_limit_of_a_sum_share_one_name",
    ),
    Mutant(
        "days are folded as they come",
        "askonce/adapters/redis/tally.py",
        "in sorted(past)",
        "in past",
        f"{FOLDS}test_days_are_folded_in_their_order_whatever_the_order_of_the_server",
    ),
    Mutant(
        "a folded day is counted in its bucket too",
        "askonce/adapters/redis/tally.py",
        "if days[field] not in without:",
        "if True:",
        f"{FOLDS}test_day_that_is_folded_between_the_reads_is_counted_once[totals]",
    ),
    Mutant(
        "a duplicate is a success of the schedule",
        "askonce/adapters/celery/verdict.py",
        """outcome == "done" and result is not None""",
        "result is not None",
        f"{VERDICT}test_call_whose_answer_is_in_the_record_is_a_success_and_nothing_else_is",
    ),
    Mutant(
        "a fallback is a success of the schedule",
        "askonce/adapters/celery/verdict.py",
        """ and result.source == "call"\n""",
        "\n",
        f"{SUCCESSES}test_failure_and_fallback_are_no_success[replaced]",
    ),
    Mutant(
        "a store that is away fails a scheduled job",
        "worker/successes.py",
        "except StoreUnavailable as error:",
        "except ZeroDivisionError as error:",
        f"{SUCCESSES}test_store_that_is_away_is_said_and_costs_the_job_nothing[recorded]",
    ),
    Mutant(
        "a stranger's header is an entry",
        "worker/successes.py",
        " and entry.isprintable() and 0 < len(entry) <= _LONGEST",
        "",
        f"{SUCCESSES}test_message_that_no_scheduler_sent_is_noted_nowhere",
    ),
    Mutant(
        "entries have no bound",
        "askonce/adapters/memory/tally.py",
        "if len(self._successes) > ENTRIES_KEPT:",
        "if False:",
        "tests/contract/test_successes.py::test_entry_whose_success_is_the_longest_ago_makes_room[memory]",
    ),
    Mutant(
        "an entry that never succeeded has no series",
        "worker/metrics/exposition.py",
        "        for entry in self._entries:\n",
        "        for entry in store.successes:\n",
        f"{EXPOSITION}test_entries_of_the_schedule_show_their_last_success_and_0_for_never",
    ),
    Mutant(
        "a producer notes no queue",
        "askonce/adapters/redis/used_queues.py",
        "if now >= due_at.get(name, 0.0) and is_queue(name)]",
        "if False]",
        f"{USED}test_first_job_of_a_process_notes_its_queue_and_no_later_one_does[push]",
    ),
    Mutant(
        "each job notes its queue",
        "askonce/adapters/redis/used_queues.py",
        "self._due_at.update(dict.fromkeys(queues, monotonic() + NOTED_EVERY))",
        "pass",
        f"{USED}test_first_job_of_a_process_notes_its_queue_and_no_later_one_does[push_many]",
    ),
    Mutant(
        "any name is a queue in use",
        "askonce/used_queues.py",
        "return bool(name) and is_name(name)",
        "return bool(name)",
        f"{USED}test_names_that_somebody_wrote_there_are_read_as_names",
    ),
    Mutant(
        "a queue that is in use no more keeps its series",
        "worker/metrics/reading.py",
        "and unused < _UNUSED_KEPT}",
        "and unused < float('inf')}",
        f"{READING}test_queue_that_was_used_long_ago_has_series_while_messages_wait_there",
    ),
    Mutant(
        "queues without end have series",
        "worker/metrics/reading.py",
        "for name in names[:_OTHERS_AT_MOST]",
        "for name in names",
        f"{READING}test_queues_that_were_used_last_are_read_within_the_limit",
    ),
    Mutant(
        "a name of a caller hides a queue that a worker takes",
        "worker/metrics/reading.py",
        "return name not in taken, used",
        "return True, used",
        f"{READING}test_queue_that_a_worker_takes_is_read_before_those_that_callers_name",
    ),
    Mutant(
        "a broker that tells of no queue is up",
        "askonce/adapters/celery/lengths.py",
        "if refused and len(refused) == len(told):",
        "if False:",
        "tests/integration/test_queue_lengths.py::test_server_that_refuses_to_tell_of_any_queue_is_no_answer",
    ),
    Mutant(
        "names of queues are kept without end",
        "askonce/adapters/redis/lua/note_queues.lua",
        "redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[1])\n",
        "",
        f"{USED}test_registry_does_not_grow_for_ever",
    ),
    Mutant(
        "a broker that is away has no workers",
        "deploy/prometheus/alerts.yml",
        "(absent(askonce_queue_workers) and on() askonce_broker_up == 1 and",
        "(absent(askonce_queue_workers) and",
        f"{ALERTS}test_server_that_is_away_is_told_by_its_own_alert_alone[broker]",
    ),
    Mutant(
        "a broker that is away starts nothing",
        "deploy/prometheus/alerts.yml",
        "(absent(askonce_queue_messages) and on() askonce_broker_up == 1)",
        "(absent(askonce_queue_messages) and on() askonce_store_up == 1)",
        f"{ALERTS}test_server_that_is_away_is_told_by_its_own_alert_alone[broker]",
    ),
    Mutant(
        "a broker that is away has an old queue",
        "deploy/prometheus/alerts.yml",
        "(absent(askonce_queue_oldest_seconds) and on() askonce_broker_up == 1 and",
        "(absent(askonce_queue_oldest_seconds) and",
        f"{ALERTS}test_server_that_is_away_is_told_by_its_own_alert_alone[broker]",
    ),
    Mutant(
        "a broker of which nothing is known is well",
        "deploy/prometheus/alerts.yml",
        "askonce_broker_up == 0 or (absent(askonce_broker_up) and on() askonce_store_up == 1)",
        "askonce_broker_up == 0",
        f"{ALERTS}test_server_that_is_away_is_told_by_its_own_alert_alone[whether the broker is there]",
    ),
    Mutant(
        "a full list of dead messages is peace",
        "deploy/prometheus/alerts.yml",
        "          or askonce_dead_messages >= 1000\n",
        "",
        f"{ALERTS}test_full_list_of_dead_messages_fires_although_it_grows_no_more",
    ),
    Mutant(
        "a countdown is waited for in memory",
        "askonce/adapters/memory/record.py",
        "self.admitted_at if self.parked else max(self.admitted_at, self.not_before)",
        "self.admitted_at",
        f"{RUNS}test_wait_begins_when_the_caller_wanted_the_start[memory]",
    ),
    Mutant(
        "a pause is a countdown in memory",
        "askonce/adapters/memory/record.py",
        "self.admitted_at if self.parked else max(self.admitted_at, self.not_before)",
        "max(self.admitted_at, self.not_before)",
        f"{RUNS}test_pause_that_a_worker_met_is_waited_for_since_the_enqueue",
    ),
)
