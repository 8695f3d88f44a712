"""Guards of marks, tags and the commands of the cache, each with a test that notices."""

from tests.mutants.mutant import Mutant
from tests.mutants.scripts import of_script

MARKS = "tests/contract/test_store_marks.py::"
BEGUN = "tests/contract/test_store_begun_before.py::"
BYTES = "tests/contract/test_record_bytes.py::"
KEPT = "tests/contract/test_kept_answers.py::"
TAGS = "tests/unit/test_tags.py::"
CACHE = "tests/unit/cli/test_cache.py::"
DAMAGED = "tests/integration/test_damaged_records.py::"
HIDES_NONE = f"{DAMAGED}test_damaged_answer_hides_no_other_that_is_kept_or_goes_stale[names]"
OF_TASK = "[Mark(scope='task', name='orders', version='', mode='remove')]"
EXPIRED = OF_TASK.replace("remove", "expire")

OF_INVALIDATION = (
    Mutant(
        "a reply that ends where no number was is a traceback",
        "askonce/adapters/redis/reply.py",
        "DAMAGE = ValueError, TypeError  #",
        "DAMAGE = (ValueError,)  #",
        f"{DAMAGED}test_field_that_is_damaged_is_an_error_of_its_record_or_none[vt]",
    ),
    Mutant(
        "a hit of damaged bytes is a traceback",
        "askonce/adapters/redis/store.py",
        "    except DAMAGE as error:\n",
        "    except KeyError as error:\n",
        f"{DAMAGED}test_field_that_is_damaged_is_an_error_of_its_record_or_none[job]",
    ),
    of_script(
        "an answer of a call without a lease comes back after its key was invalidated",
        "complete",
        "if ARGV[9] ~= '0' then r.mark =",
        "if false then r.mark =",
        f"{BEGUN}test_call_that_began_without_a_lease_before_its_key_was_invalidated_is_refused[5.0]",
    ),
    Mutant(
        "memory keeps an answer of a call without a lease after its key was invalidated",
        "askonce/adapters/memory/records.py",
        "        record.mark = max(record.mark, record.removed_at)\n",
        "",
        f"{BEGUN}test_call_that_began_without_a_lease_before_its_key_was_invalidated_is_refused[memory-5.0]",
    ),
    of_script(
        "an answer of a run of before is kept",
        "complete",
        "if r.began <= r.mark then",
        "if false then",
        f"{MARKS}test_answer_whose_run_began_before_a_mark_is_refused",
    ),
    of_script(
        "who asks after a mark joins a run of before",
        "admit",
        "if differs or is_void(r) then",
        "if differs then",
        f"{MARKS}test_who_asks_after_a_mark_does_not_join_a_run_of_before{OF_TASK}",
    ),
    of_script(
        "the fast path joins a run of before",
        "duplicate",
        " and (fl ~= 'running' or tonumber(fen) > latest_mark()) then",
        " then",
        f"{MARKS}test_who_asks_after_a_mark_does_not_join_a_run_of_before{OF_TASK}",
    ),
    of_script(
        "a refused answer is paid for twice",
        "complete",
        "  if entry ~= '' then note_booked(owner) end\n  if ran then",
        "  if ran then",
        f"{MARKS}test_refused_answer_is_paid_for_once",
    ),
    of_script(
        "a late answer ends the job that was queued again",
        "complete",
        "    count_ended(r)\n    forget(r) -- those who wait for it make a new job\n  else",
        "    count_ended(r)\n  end\n  forget(r)\n  if not ran then",
        f"{MARKS}test_refused_answer_of_a_job_that_was_queued_again_leaves_the_job",
    ),
    of_script(
        "an answer that expired during its run is fresh",
        "complete",
        "sx = r.began <= r.aged and NOW or NOW + ARGV[4]",
        "sx = NOW + ARGV[4]",
        f"{MARKS}test_answer_that_expired_during_its_run_stays_stale_when_the_mark_is_forgotten",
    ),
    of_script(
        "an expired answer is fresh",
        "marks",
        "  if r.vf <= r.aged then r.sx = math.min(r.sx, math.floor(r.aged / 1000)) end\n",
        "",
        f"{MARKS}test_expired_answer_is_kept_and_stale{OF_TASK}",
    ),
    of_script(
        "only the first tag of an answer counts",
        "marks",
        "for tag in string.gmatch(tags, '[^\\n]+') do names[#names + 1] = 'tag\\n' .. tag end",
        "names[5] = 'tag\\n' .. (string.match(tags, '[^\\n]+') or '')",
        f"{MARKS}test_marked_answer_is_none[Mark(scope='tag', name='red', version='', mode='remove')]",
    ),
    of_script(
        "a mark of one mode forgets that of the other",
        "mark",
        "if ARGV[2] == 'expire' then aged = now_us else removed = now_us end",
        "if ARGV[2] == 'expire' then aged, removed = now_us, '0' else removed = now_us end",
        f"{MARKS}test_earlier_mark_of_the_other_mode_still_counts[remove-expire]",
    ),
    of_script(
        "a mark is forgotten before its answers are",
        "mark",
        "NOW + ARGV[3], tonumber(redis.call('HGET', SLOT .. 'answers', 'until') or 0))",
        "NOW + ARGV[3])",
        f"{MARKS}test_mark_lasts_as_long_as_any_answer_of_before[remove]",
    ),
    of_script(
        "marks are kept for ever",
        "mark",
        "    if ends and tonumber(ends) <= NOW then redis.call('HDEL', marks, known[i]) end\n",
        "",
        f"{MARKS}test_room_for_marks_is_bounded_and_found_again",
    ),
    of_script(
        "a second caller takes a job's tags away",
        "attach",
        "own_limits, own_headers .. own_tags}",
        "own_limits, own_headers}",
        f"{MARKS}test_tags_of_a_job_last_as_long_as_its_record",
    ),
    of_script(
        "the expiry of a key is not known to the run under way",
        "invalidate",
        "  if r.fl == 'running' then set(r, {xm = NOW_US}) end\n",
        "",
        "tests/contract/test_store_expired_keys.py::test_expiry_of_a_key_lets_its_jobs_go_on",
    ),
    of_script(
        "an answer that expired goes stale soon",
        "going_stale",
        "if r.sx == last and has_value(r)",
        "if has_value(r)",
        f"{MARKS}test_marked_answer_does_not_go_stale_soon{EXPIRED}",
    ),
    Mutant(
        "what a mark removed stays on the server",
        "askonce/adapters/redis/lua/due.lua",
        "  if NOW < r.hx then redis.call('HDEL', r.key, 'val', 'vm', 'uc', 'as') end\n",
        "",
        f"{BYTES}test_sweep_deletes_what_a_mark_removed[remove-False]",
    ),
    of_script(
        "a walk ends with its first look",
        "kept",
        "  found[1] = cursor\n",
        "",
        f"{KEPT}test_answers_of_a_bucket_are_walked_some_at_a_time",
    ),
    of_script(
        "the start of a tag is the tag",
        "kept",
        "'\\n' .. ARGV[7] .. '\\n', 1, true)",
        "'\\n' .. ARGV[7], 1, true)",
        f"{KEPT}test_each_answer_is_found_by_what_it_is",
    ),
    Mutant(
        "an answer that was refused is kept for the time without a store",
        "askonce/runner.py",
        "    if isinstance(executed, Computed) and executed.stored is Write.FENCED:\n        return False\n",
        "",
        "tests/unit/test_store_down_calls.py::test_answer_that_was_refused_is_not_kept_for_the_time_without_a_store",
    ),
    Mutant(
        "a mark that is as long as a key is taken for one",
        "askonce/adapters/redis/invalidations.py",
        ' and text[0] != "{"',
        "",
        "tests/contract/test_store_hits.py::test_mark_tells_that_any_answer_may_be_old[valkey-"
        + "x" * 23
        + "]",
    ),
    Mutant(
        "one text is a list of its letters",
        "askonce/key.py",
        "tags = [] if isinstance(found, str) else list(found)",
        "found = tags = list(found)",
        f"{TAGS}test_one_text_is_no_list_of_its_letters",
    ),
    Mutant(
        "a tag may be two lines",
        "askonce/key.py",
        "if not all(len(tag) <= TAG_KEPT and tag.isprintable() for tag in tags):",
        "if not all(len(tag) <= TAG_KEPT for tag in tags):",
        f"{TAGS}test_tags_that_cannot_be_are_refused_by_name[two lines]",
    ),
    Mutant(
        "two names of a mark are taken for either",
        "askonce/cli/cache.py",
        "    if len(given) != 1:\n",
        "    given = given[:1]\n    if not given:\n",
        f"{CACHE}test_what_cannot_be_meant_is_refused_and_changes_nothing"
        "[['--task', 'rates.fetch', '--tag', 'red']-name one of --task, --tag, not several]",
    ),
    Mutant(
        "answers are made old and nobody wrote that down",
        "askonce/cli/cache.py",
        '        write_down(store, "invalidate", done, note)\n',
        "",
        f"{CACHE}test_nothing_is_made_old_where_it_cannot_be_written_down",
    ),
    Mutant(
        "a pipe clears all",
        "askonce/cli/cache.py",
        "        if not is_terminal(sys.stdin):\n",
        "        if False:\n",
        f"{CACHE}test_clear_without_a_person_must_be_meant",
    ),
    Mutant(
        "a value is shown to whoever looks",
        "askonce/cli/kept.py",
        'return {**facts, "value": result.value} if with_value else facts',
        'return {**facts, "value": result.value}',
        f"{CACHE}test_value_is_shown_only_where_it_is_wanted",
    ),
    Mutant(
        "more jobs are made ahead than were allowed",
        "askonce/cli/warmed.py",
        'if most is not None and counts["asked"] >= most:',
        'if most is not None and counts["asked"] > most:',
        f"{CACHE}test_no_more_new_jobs_are_made_than_were_allowed",
    ),
    Mutant(
        "a job that makes a stale answer anew is no call",
        "askonce/cli/warmed.py",
        ", tenant=tenant, stale_while_revalidate=0.0)",
        ", tenant=tenant)",
        f"{CACHE}test_jobs_that_make_stale_answers_anew_count_as_new_ones",
    ),
    Mutant(
        "a damaged answer ends each look for lost jobs",
        "askonce/adapters/redis/lua/due.lua",
        "local known, again = pcall(look_at_answer, member)",
        "local known, again = true, look_at_answer(member)",
        f"{DAMAGED}test_damaged_answer_costs_no_other_its_sweep_and_no_job_its_rescue[names]",
    ),
    Mutant(
        "a damaged answer hides those that are kept",
        "askonce/adapters/redis/lua/kept.lua",
        "pcall(look_at, member)",
        "look_at(member)",
        HIDES_NONE,
    ),
    Mutant(
        "a damaged answer hides those that go stale",
        "askonce/adapters/redis/lua/going_stale.lua",
        "pcall(look_at, members[i])",
        "look_at(members[i])",
        HIDES_NONE,
    ),
    of_script(
        "answers that ended stay in their index until somebody reaps",
        "due",
        "pcall(sweep, 2)\n",
        "",
        f"{KEPT}test_answers_that_ended_are_counted_no_more_where_nobody_reaps",
    ),
    Mutant(
        "an index that cannot be swept costs a paid answer",
        "askonce/adapters/redis/lua/due.lua",
        "pcall(sweep, 2)",
        "sweep(2)",
        f"{DAMAGED}test_index_that_cannot_be_swept_costs_no_answer",
    ),
    of_script(
        "a walk goes by rank",
        "kept",
        "local cursor, page = unpack(redis.call('ZSCAN', SLOT .. 'due', ARGV[1], 'COUNT', LOOKS))",
        "local page = redis.call('ZRANGE', SLOT .. 'due', ARGV[1], ARGV[1] + LOOKS - 1, 'WITHSCORES')\n"
        "  local cursor = #page == 2 * LOOKS and ARGV[1] + LOOKS or 0",
        f"{KEPT}test_walk_meets_each_answer_that_stays_while_others_leave",
    ),
    Mutant(
        "an answer that a walk meets twice is listed twice",
        "askonce/cli/kept.py",
        " if each.key not in known}",
        "}",
        f"{CACHE}test_answer_that_a_walk_meets_twice_is_listed_once",
    ),
    of_script(
        "a mark lasts for a day, whatever its caller knows",
        "mark",
        "NOW + ARGV[3], ",
        "",
        f"{MARKS}test_mark_lasts_as_long_as_its_caller_knows_of_answers[once]",
    ),
    of_script(
        "a second mark forgets for how long the first is kept",
        "mark",
        "over = math.max(over, tonumber(ends or 0))",
        "",
        f"{MARKS}test_mark_lasts_as_long_as_its_caller_knows_of_answers[again]",
    ),
    Mutant(
        "a command does not say for how long answers are kept",
        "askonce/cli/cache.py",
        "store.controls.mark(mark, max((spec.hard_ttl for spec in site.specs.values()), default=0.0))",
        "store.controls.mark(mark)",
        f"{CACHE}test_mark_lasts_as_long_as_an_answer_of_an_older_release_may",
    ),
)
