"""Guards of the life of an answer."""

from tests.mutants.mutant import Mutant
from tests.mutants.scripts import of_script

LIFE = "tests/contract/test_store_life.py::"
UNIT = "tests/unit/test_life.py::"

OF_LIFE = (
    of_script(
        "each caller of a stale answer waits for the refresh",
        "admit",
        "if meanwhile and r.fl ~= 'idle'",
        "if false and r.fl ~= 'idle'",
        f"{LIFE}test_one_caller_makes_a_stale_answer_anew_and_all_others_are_served_it",
    ),
    of_script(
        "a stale answer is served for ever",
        "admit",
        "stale_for(r, max_age) < tonumber(ARGV[16])",
        "tonumber(ARGV[16]) > 0",
        f"{LIFE}test_answer_that_is_stale_for_too_long_is_waited_for",
    ),
    of_script(
        "a lost refresh is nobody's",
        "admit",
        "and (r.paused or not is_lost(r)) then return served('stale')",
        "then return served('stale')",
        f"{LIFE}test_lost_refresh_is_sent_again_by_who_would_be_served_meanwhile",
    ),
    of_script(
        "a failed refresh hides the stale answer",
        "admit",
        "  if meanwhile and (failure_answers(r) or NOW < r.nx) then return served('stale') end\n",
        "",
        f"{LIFE}test_key_rests_after_a_failed_refresh_and_its_stale_answer_is_served",
    ),
    of_script(
        "a stale answer hides a permanent failure",
        "admit",
        "has_value(r) and not is_doubtful(r)",
        "has_value(r)",
        f"{LIFE}test_failure_that_makes_the_answer_doubtful_is_not_hidden_by_it[permanent]",
    ),
    of_script(
        "nobody's wish is written down",
        "admit",
        "redis.pcall('HSET', KEYS[1], 'as', 1)",
        "redis.pcall('HGET', KEYS[1], 'as')",
        f"{LIFE}test_answer_goes_stale_soon_only_if_somebody_asked_for_it_since",
    ),
    of_script(
        "a wish for the last answer is one for the next",
        "complete",
        "'sp', 'as')",
        "'sp')",
        f"{LIFE}test_nobody_wants_the_next_answer_until_it_is_asked_for",
    ),
    of_script(
        "a refresh under way is asked for again",
        "going_stale",
        "r.task ~= ARGV[3] or r.fl ~= 'idle' then return end",
        "r.task ~= ARGV[3] then return end",
        f"{LIFE}test_answer_that_is_made_anew_already_does_not_go_stale",
    ),
    of_script(
        "one look must be enough",
        "going_stale",
        "if #members == 2 * LOOKS then",
        "if false then",
        f"{LIFE}test_more_answers_than_one_look_takes_are_all_found",
    ),
    of_script(
        "payloads are kept for all",
        "complete",
        "if ARGV[8] ~= '1' then remove(r, 'env') end",
        "",
        f"{LIFE}test_payload_is_kept_only_where_the_task_says_so",
    ),
    Mutant(
        "an ended answer stays in its index",
        "askonce/adapters/redis/lua/due.lua",
        "redis.call('ZREM', due, member)",
        "redis.call('ZADD', due, NOW + DAMAGED_REST, member)",
        "tests/integration/test_redis_store.py::"
        "test_answer_is_looked_at_when_it_goes_stale_and_when_it_ends_and_leaves_its_index",
    ),
    Mutant(
        "a forgotten answer stays in its index",
        "askonce/adapters/redis/lua/record.lua",
        "    redis.call('ZREM', SLOT .. 'due', string.sub(r.key, -64))\n",
        "",
        "tests/integration/test_redis_store.py::test_forgotten_answer_leaves_its_index_at_once",
    ),
    of_script(
        "a stale answer is a hit although nobody makes it anew",
        "hit",
        "local is_made_anew = fl ~= 'idle' and",
        "local is_made_anew =",
        "tests/contract/test_store_hits.py::test_stale_answer_that_nobody_makes_anew_is_no_hit",
    ),
    of_script(
        "a failed refresh is told by nobody",
        "hit",
        " and not ex\n",
        "\n",
        "tests/contract/test_store_hits.py::"
        "test_stale_answer_is_no_hit_when_the_job_that_makes_it_anew_is_lost_or_failed",
    ),
    Mutant(
        "the first caller waits for the refresh that it sent",
        "askonce/enqueue.py",
        "if isinstance(decision, Run) and decision.meanwhile is not None:",
        "if False and isinstance(decision, Run):",
        f"{UNIT}test_first_caller_of_a_stale_answer_is_served_it_and_has_sent_the_refresh",
    ),
    Mutant(
        "who names an age is served an older answer",
        "askonce/claim.py",
        "0.0 if says_so else spec.stale_while_revalidate",
        "spec.stale_while_revalidate",
        f"{UNIT}test_caller_who_names_an_age_is_served_no_older_answer",
    ),
    Mutant(
        "a failure lets any answer through",
        "askonce/freshness.py",
        "return if_error is None or stale_for <= if_error",
        "return True",
        f"{UNIT}test_stale_answer_is_served_for_a_failed_call_only_for_so_long",
    ),
    Mutant(
        "a waiter gets no old answer",
        "askonce/handle.py",
        "if (stale := self._last_good()) is not None:",
        "if (stale := None) is not None:",
        f"{UNIT}test_waiter_gets_the_stale_answer_when_the_fresh_one_takes_too_long",
    ),
    Mutant(
        "an answer's own time to live is not asked",
        "askonce/attempt.py",
        "fresh = spec.soft_ttl if self.ttl is None else self.ttl",
        "fresh = spec.soft_ttl",
        f"{UNIT}test_answer_says_itself_how_long_it_is_fresh",
    ),
    Mutant(
        "a time to live that cannot be fails a paid answer",
        "askonce/attempt.py",
        "ttl=ttl if known else None,",
        "ttl=ttl,",
        f"{UNIT}test_time_to_live_that_cannot_be_is_named_and_costs_no_answer[-1.0]",
    ),
    Mutant(
        "an answer is kept against its body's will",
        "askonce/attempt.py",
        "        if not self.keep:\n            return Ttl(SHORTEST_TTL, SHORTEST_TTL)\n",
        "",
        f"{UNIT}test_answer_that_is_not_kept_reaches_those_who_wait_and_nobody_else",
    ),
    Mutant(
        "an unmodified answer is paid again",
        "askonce/attempt.py",
        "            paid=own,\n            caused=caused,\n",
        "",
        f"{UNIT}test_unmodified_answer_is_fresh_again_and_pays_for_the_question_alone",
    ),
    of_script(
        "an answer made without the store is as young as its lease",
        "complete",
        "r.began = ARGV[9] == '0' and r.fen or",
        "r.began = true and r.fen or",
        "tests/contract/test_store_begun_before.py::"
        "test_call_that_began_before_its_lease_is_judged_by_its_own_time[remove-Write.FENCED]",
    ),
    of_script(
        "a call that began before a mark goes on after it",
        "start",
        "  if r.fen <= math.max(r.mark, r.aged) then drop(r, 'ref') end\n",
        "",
        "tests/contract/test_store_begun_before.py::test_call_that_began_before_a_mark_is_begun_anew[park-remove]",
    ),
    of_script(
        "a mark of the future refuses all runs",
        "start",
        "math.max(r.fen + 1, NOW_US, r.latest + 1)",
        "math.max(r.fen + 1, NOW_US)",
        "tests/contract/test_store_begun_before.py::"
        "test_run_after_a_mark_that_was_made_while_the_clock_was_ahead_is_kept",
    ),
    of_script(
        "other tags bring a removed answer back",
        "admit",
        "  if r.vf > 0 and r.vf <= r.mark then clear_value(r) elseif",
        "  if",
        "tests/contract/test_store_begun_before.py::test_new_job_with_other_tags_brings_no_old_answer_back[remove]",
    ),
    Mutant(
        "an unmodified answer forgets the attempts before",
        "askonce/attempt.py",
        "caused = total([self.spent, own])",
        "caused = own",
        f"{UNIT}test_unmodified_answer_pays_for_the_attempts_that_failed",
    ),
    Mutant(
        "who wants no stale answer is served one in line",
        "askonce/inline.py",
        "        if self.serve_stale:\n            return claim\n",
        "        return claim\n",
        f"{UNIT}test_caller_who_wants_no_stale_answer_makes_it_anew",
    ),
    Mutant(
        "a run takes a stale answer, and pays for one that no bill has",
        "producer/run/ask.py",
        '        options.setdefault("stale_while_revalidate", 0.0)\n',
        "",
        "tests/unit/test_run_stale.py::test_row_whose_answer_is_stale_waits_for_the_job_that_it_pays_for",
    ),
)
