"""Guards of payloads that are enqueued in a group, each with a test that notices."""

from tests.mutants.mutant import Mutant

GROUPS = "tests/unit/test_enqueue_many.py::"
APP = "tests/integration/test_celery_groups.py::"
PUSHER = "askonce/adapters/redis/pusher.py"

OF_GROUPS = (
    Mutant(
        "a group calls each content of a key",
        "askonce/enqueue.py",
        'latest(rows) if spec.on_mismatch == "replace" else (rows, [])',
        "(rows, list[tuple[Row, int]]())",
        f"{GROUPS}test_of_other_content_under_one_key_the_last_is_called",
    ),
    Mutant(
        "a group calls the first content of a key",
        "askonce/group.py",
        "last = {row.claim.job.key: row for row in rows}",
        "last = {row.claim.job.key: row for row in reversed(rows)}",
        f"{GROUPS}test_of_other_content_under_one_key_the_last_is_called",
    ),
    Mutant(
        "a group replaces what its spec keeps",
        "askonce/enqueue.py",
        'if spec.on_mismatch == "replace" else (rows, [])',
        "if True else (rows, [])",
        f"{GROUPS}test_refused_conflict_keeps_the_first_of_a_group",
    ),
    Mutant(
        "an invalid payload of a group has no field",
        "askonce/enqueue.py",
        "                errors[position] = invalid\n",
        '                errors[position] = PayloadInvalid(field="", reason=invalid.reason)\n',
        f"{GROUPS}test_invalid_payload_costs_no_other_one_its_outcome",
    ),
    Mutant(
        "any ids fit a group",
        "askonce/group.py",
        "isinstance(jobs, str) or len(jobs) != count",
        "False",
        f"{GROUPS}test_ids_that_do_not_fit_are_refused[ab]",
    ),
    Mutant(
        "a group is one round trip, however large",
        "askonce/group.py",
        "len(part) >= ROWS or size > SIZE",
        "len(part) >= ROWS",
        f"{GROUPS}test_large_group_is_admitted_in_parts_of_rows_and_bytes",
    ),
    Mutant(
        "a group forgets what the broker did not take",
        "askonce/enqueue.py",
        "                failed[position] = error\n",
        "                pass\n",
        f"{GROUPS}test_jobs_that_the_broker_did_not_take_are_recorded",
    ),
    Mutant(
        "a group tries a broker that is away for each message",
        "askonce/message.py",
        "            break\n",
        "            continue\n",
        f"{GROUPS}test_broker_that_refuses_is_tried_once_for_a_group",
    ),
    Mutant(
        "a group does not count what it sent again",
        "askonce/enqueue.py",
        "            elif not new:\n",
        "            elif False:\n",
        f"{GROUPS}test_lost_message_is_sent_again_by_a_group_and_counted",
    ),
    Mutant(
        "a damaged record ends its script",
        PUSHER,
        "        return list(map(self._push_alone, script))",
        "        return [failed] * len(script)",
        f"{APP}test_damaged_record_costs_no_other_row_of_its_script[type-RecordDamaged]",
    ),
    Mutant(
        "a queue that is no list is a fault of the records",
        PUSHER,
        "if not any(isinstance(record, JobError) for record in records):",
        "if False:",
        f"{APP}test_queue_that_is_no_list_is_an_error_of_the_group",
    ),
    Mutant(
        "the jobs of one script share what differs",
        PUSHER,
        "return terms, queue, template, job.routing, job.tags, *names",
        "return queue, template, job.routing, job.tags, *names",
        "tests/contract/test_store_many.py::test_claims_of_one_group_may_differ_in_everything[valkey-push]",
    ),
    Mutant(
        "a claim that is repeated sends its message twice",
        "askonce/adapters/redis/lua/publish_many.lua",
        "if admitted[1][1] == 'admitted' and not repeated then",
        "if admitted[1][1] == 'admitted' then",
        f"{APP}test_group_with_its_ids_again_sends_nothing",
    ),
    Mutant(
        "all messages of a script have one tag",
        "askonce/adapters/redis/lua/publish_many.lua",
        "ALL_ARGV[18] .. i,",
        "ALL_ARGV[18],",
        f"{APP}test_every_message_of_a_group_has_its_own_tag",
    ),
    Mutant(
        "a new job does not know of its pause",
        "askonce/adapters/redis/lua/new.lua",
        " and redis.call('EXISTS', SLOT .. 'ctl') == 0 then",
        " then",
        "tests/contract/test_store_controls.py::test_caller_of_a_paused_job_gets_the_note[valkey]",
    ),
    Mutant(
        "a new record has no run",
        "askonce/adapters/redis/lua/new.lua",
        "unpack(run == '' and EMPTY or {'run', run})",
        "unpack(EMPTY)",
        "tests/contract/test_record_bytes.py::test_new_record_is_the_same_in_a_bucket_with_pauses[everything-None]",
    ),
    Mutant(
        "a new record outlives its expiry",
        "askonce/adapters/redis/lua/new.lua",
        "    over = math.min(over, xe)\n",
        "",
        "tests/contract/test_record_bytes.py::test_new_record_is_the_same_in_a_bucket_with_pauses[nothing-30.0]",
    ),
    Mutant(
        "a script that ends with an error forgets its messages",
        "askonce/adapters/redis/lua/publish_many.lua",
        "if #messages > 0 then",
        "if ok and #messages > 0 then",
        f"{APP}test_new_jobs_around_a_damaged_record_are_sent_once",
    ),
    Mutant(
        "a script that ends with an error forgets its counts",
        "askonce/adapters/redis/lua/publish_many.lua",
        "for of, amounts in pairs(sums) do",
        "for of, amounts in pairs(ok and sums or {}) do",
        f"{APP}test_new_jobs_around_a_damaged_record_are_sent_once",
    ),
    Mutant(
        "what a group counts is counted once only",
        "askonce/adapters/redis/lua/counts.lua",
        "(of[what] or 0) + amount",
        "amount",
        "tests/contract/test_store_many.py::test_each_outcome_of_a_group_is_counted_once[valkey-push]",
    ),
    Mutant(
        "a connection is used on although replies are left on it",
        "askonce/adapters/redis/link.py",
        "            # next use.\n            connection.disconnect()\n",
        "            # next use.\n",
        "tests/integration/test_redis_link.py::test_replies_that_were_not_read_belong_to_no_later_command",
    ),
)
