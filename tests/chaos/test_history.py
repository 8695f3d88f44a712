from itertools import count

import pytest

from tests.chaos.history import NEVER, Op, check

_ids = count(1)
FENCE = 1_000_000


def op(verb, when, outcome=None, took=0.01, seen=None, **args):
    returned = NEVER if outcome is None else when + took
    return Op(f"op{next(_ids)}", verb, args, when, returned, outcome, seen)


def admit(when, job, outcome="admitted", **more):
    terms = {"fp": "f", "force": False, "max_attempts": 3, "queue_deadline": 2.0}
    chosen = {"expires": None, "countdown": 0.0, "priority": None}
    return op("admit", when, outcome, job=job, **(terms | chosen | more))


def start(when, owner, outcome="granted", *, job="j", fp="f", fence=0, attempts=1, value=0, **more):
    seen = None
    if fence:
        seen = {
            "present": True,
            "flight": "running",
            "job": job,
            "fence": fence,
            "attempts": attempts,
            "value": value,
        }
    return op("start", when, outcome, job=job, owner=owner, fp=fp, lease=3.0, seen=seen, **more)


def complete(when, owner, outcome="ok", soft=60.0, **more):
    return op("complete", when, outcome, owner=owner, soft=soft, **more)


def renew(when, owner, outcome="ok"):
    return op("renew", when, outcome, owner=owner, lease=3.0)


def fail(when, owner, outcome="ok", kind="transient"):
    return op("fail", when, outcome, owner=owner, kind=kind, after=0.1, quarantine=True)


def park(when, owner, outcome="parked", after=0.0):
    return op("park", when, outcome, owner=owner, after=after)


def cancel(when, outcome="cancelled"):
    return op("cancel", when, outcome)


def resent(when, outcome="ok", job="j", sent_at=77):
    return op("resent", when, outcome, job=job, sent_at=sent_at)


def read(when, flight="idle", job="j", owner="", fence=0, value=0, attempts=1, took=0.01, **more):
    seen = {
        "present": True,
        "flight": flight,
        "job": job,
        "owner": owner,
        "fp": "f",
        "fence": fence,
        "value": value,
        "attempts": attempts,
        **more,
    }
    return op("read", when, "ok", seen=seen, took=took)


A = admit(0, "j")
S = start(1, "a", fence=FENCE)
LAST = cancel(2, "running")
CANCELLED = {"failure": "cancelled", "failed_job": "j"}
#: After the lease of S, a second owner.
T = start(5, "b", fence=FENCE + 9, attempts=2)

LEGAL = {
    "one job": [A, S, renew(2, "a"), complete(3, "a"), admit(4, "k", "hit")],
    "a duplicate": [A, admit(0.5, "k", "attached"), S, start(2, "b", "busy"), complete(3, "a")],
    "two asks at once, told in the other order": [admit(0, "j", took=1), admit(0.1, "k", "attached")],
    "takeover after the lease": [A, S, T, complete(6, "a", "fenced"), complete(7, "b")],
    "late answer of an owner whom nobody replaced": [A, S, complete(9, "a")],
    "renewed late, as nobody came": [A, S, renew(8, "a"), start(9, "b", "busy")],
    "reaped meanwhile": [A, S, renew(5, "a", "fenced"), complete(6, "a")],
    "a failure, and again": [A, S, fail(2, "a"), start(3, "b", fence=FENCE + 5, attempts=2)],
    "an ask that was heard by the store alone": [admit(0, "j", None), admit(3, "k", "attached")],
    "an ask that was never heard": [admit(0, "j", None), admit(1, "k"), start(2, "a", "superseded")],
    "an answer whose reply was lost, told again": [A, S, complete(2, "a", None), complete(3, "a")],
    "an answer of a killed worker, later": [
        A,
        S,
        complete(2, "a", None),
        read(9, "idle", "j", "a", FENCE, FENCE),
    ],
    "a fence that is told late": [A, start(1, "a", None), read(2, "running", "j", "a", FENCE)],
    "lost and asked again": [A, S, op("lose", 2, "ok"), complete(3, "a", "absent"), admit(4, "k")],
    "other payload fences the run": [A, S, admit(2, "k", fp="g"), complete(3, "a", "fenced")],
    "stale, so asked again": [A, S, complete(2, "a", soft=1.0), admit(4, "k")],
    "forced while it is fresh": [A, S, complete(2, "a"), admit(3, "k", force=True)],
    "given up while its last owner stood still": [
        A,
        *(
            each
            for n in range(2)
            for each in (start(n, f"{n}", fence=FENCE + n, attempts=n + 1), fail(n + 0.5, f"{n}"))
        ),
        start(3, "c", fence=FENCE + 5, attempts=3),
        admit(8, "k", "negative"),
        complete(9, "c"),
        admit(10, "l", "hit"),
    ],
    "forgotten during the run": [A, S, op("invalidate", 2, "ok"), complete(3, "a", "fenced"), admit(4, "k")],
    "parked, and again with the same attempt": [
        A,
        S,
        park(2, "a"),
        start(3, "b", fence=FENCE + 5, attempts=1),
        complete(4, "b"),
    ],
    "parked by an owner whom a reaper found first": [A, S, park(5, "a"), start(6, "b", attempts=2)],
    "parked after a takeover": [A, S, T, park(6, "a", "fenced"), complete(7, "b")],
    "cancelled, so its message starts nothing": [A, cancel(1), start(2, "a", "superseded"), admit(3, "k")],
    "cancelled, and its waiters read that": [A, cancel(1), read(2, failure="cancelled", failed_job="j")],
    "cancelled, and its waiters came too late": [A, cancel(1), read(150, failure="")],
    "cancelled twice": [A, cancel(1), cancel(2)],
    "cancelled too late": [A, S, cancel(2, "running"), complete(3, "a"), cancel(4, "idle")],
    "cancelled while its owner stood still": [A, S, cancel(5), complete(6, "a")],
    "cancelled under way, and failed": [A, S, LAST, fail(3, "a"), read(4, fence=FENCE, **CANCELLED)],
    "cancelled under way, and given back twice": [
        A,
        S,
        LAST,
        park(3, "a", "cancelled"),
        park(3.5, "a", "cancelled"),
        start(4, "b", "superseded"),
    ],
    "cancelled under way, and its worker lost": [A, S, LAST, start(6, "b", "unrun"), admit(7, "k")],
    "cancelled under way, and asked for when its worker was lost": [A, S, LAST, admit(6, "k")],
    "cancelled under way, and reaped": [A, S, LAST, read(6, "idle", "j", "a", FENCE, **CANCELLED)],
    "cancelled under way, and renewed": [A, S, LAST, renew(3, "a", "cancelled"), start(5, "b", "busy")],
    "cancelled under way, asked for again, and renewed": [
        A,
        S,
        LAST,
        admit(2.5, "k", "attached"),
        renew(3, "a"),
    ],
    "cancelled under way, and joined shortly before its lease ends": [
        A,
        S,
        LAST,
        admit(3.95, "k", "attached"),
        renew(3.97, "a"),
    ],
    "asked for without an expiry when its worker was lost": [
        admit(0, "j", expires=2.0),
        S,
        admit(4.5, "k", "resend"),
        start(5, "b", fence=FENCE + 5, attempts=2),
    ],
    "cancelled under way, and answered": [A, S, LAST, complete(3, "a"), admit(4, "k", "hit")],
    "cancelled under way, and asked for again": [
        A,
        S,
        LAST,
        admit(2.5, "k", "attached"),
        fail(3, "a"),
        start(4, "b", fence=FENCE + 5, attempts=2),
    ],
    "expired, so its message starts nothing": [
        admit(0, "j", expires=1.0),
        start(2, "a", "unrun"),
        start(2.5, "b", "superseded"),
        admit(3, "k"),
    ],
    "a duplicate prolongs the expiry": [
        admit(0, "j", expires=1.0),
        admit(0.5, "k", "attached", expires=5.0),
        start(2, "a", fence=FENCE),
    ],
    "ended by the reaper when it expired": [admit(0, "j", expires=1.0), admit(2, "k")],
    "paused, and a message later": [A, start(1, "a", "paused"), start(3, "b", fence=FENCE, attempts=1)],
    "back in its paused queue, and taken again at once": [
        A,
        start(1, "a", "returned"),
        start(1.1, "b", fence=FENCE, attempts=1),
    ],
    "delayed by its first caller": [
        admit(0, "j", countdown=2.0),
        start(1, "a", "backoff"),
        start(3, "b", fence=FENCE),
    ],
    "a duplicate starts a delayed job at once": [
        admit(0, "j", countdown=5.0),
        admit(1, "k", "resend"),
        resent(1.1),
        start(2, "a", fence=FENCE),
    ],
    "a more urgent duplicate sends one more message": [
        admit(0, "j", priority=6),
        admit(1, "k", "resend", priority=3),
        admit(1.5, "l", "attached", priority=3),
    ],
    "a message is lost, so it is sent again": [
        A,
        admit(3, "k", "resend"),
        resent(3.1),
        admit(4, "l", "attached"),
    ],
    "a worker was faster than who sent the message": [A, S, resent(2, "fenced")],
    "undeliverable": [
        A,
        *(resent(when, sent_at=when) for when in (3, 8, 20, 40, 80)),
        admit(200, "k", "negative"),
        start(201, "a", fence=FENCE),
    ],
    "a job that ended may be asked for under its own id": [A, S, complete(2, "a", soft=1.0), admit(4, "j")],
    "a read beside the answer sees either": [
        A,
        S,
        complete(2, "a", took=1),
        read(2.1, "idle", "j", "a", FENCE, FENCE, took=0.1),
    ],
}

ILLEGAL = {
    "start during a live lease": [A, S, start(2, "b", fence=FENCE + 1, attempts=2)],
    "start during a lease that was renewed": [A, S, renew(3, "a"), T],
    "two owners complete": [A, S, T, complete(6, "b"), complete(7, "a")],
    "an old owner completes during its successor's run": [A, S, T, complete(6, "a")],
    "who never had the lease completes": [A, S, complete(2, "b")],
    "an answer after it was forgotten": [A, S, op("invalidate", 2, "ok"), complete(3, "a")],
    "an answer after another payload came": [A, S, admit(2, "k", fp="g"), complete(3, "a")],
    "an answer into a record that is lost": [A, S, op("lose", 2, "ok"), complete(3, "a")],
    "a lease that is prolonged after a takeover": [A, S, T, renew(6, "a")],
    "asked twice while it is fresh": [A, S, complete(2, "a"), admit(3, "k")],
    "two jobs admitted at once": [A, admit(1, "k")],
    "an old job starts": [A, S, complete(2, "a", soft=0.1), start(4, "b", fence=FENCE + 1)],
    "a job starts that nobody admitted": [start(1, "a", fence=FENCE)],
    "a fence that does not rise": [A, S, start(5, "b", fence=FENCE, attempts=2)],
    "old fence visible after a newer": [
        A,
        S,
        T,
        complete(6, "b"),
        read(7, "idle", "j", "b", FENCE + 9, FENCE + 9, 2),
        read(8, "idle", "j", "b", FENCE + 9, FENCE, 2),
    ],
    "a record that disappears": [A, S, op("read", 2, "ok", seen={"present": False})],
    "an answer that disappears": [A, S, complete(2, "a"), read(3, "idle", "j", "a", FENCE, 0)],
    "an attempt that is forgotten": [A, S, fail(2, "a"), start(3, "b", fence=FENCE + 5, attempts=1)],
    "a failure of somebody else": [A, S, T, fail(6, "a")],
    "a duplicate is sent again while the job is held": [A, S, admit(2, "k", "resend")],
    "parked by who never had the lease": [A, S, park(2, "b")],
    "parked, and its attempt is counted": [
        A,
        S,
        park(2, "a"),
        start(3, "b", fence=FENCE + 5, attempts=2),
    ],
    "parked for too long at the first time": [A, S, park(2, "a", "spent")],
    "a cancelled job starts": [A, cancel(1), start(2, "a", fence=FENCE)],
    "a call under way is cancelled": [A, S, cancel(2)],
    "a cancelled call is made again": [A, S, LAST, fail(3, "a"), start(4, "b", fence=FENCE + 5, attempts=2)],
    "a cancelled call is made again by a second worker": [A, S, LAST, start(6, "b", fence=FENCE + 5)],
    "a renewal does not tell of a cancel": [A, S, LAST, renew(3, "a")],
    "a renewal tells of a cancel that nobody asked for": [A, S, renew(3, "a", "cancelled")],
    "a cancelled call is parked": [A, S, LAST, park(3, "a")],
    "a cancelled call is sent again": [A, S, LAST, admit(6, "k", "resend")],
    "a waiter does not read that its job was cancelled": [A, cancel(1), read(2, failure="")],
    "a waiter reads another end": [A, cancel(1), read(2, failure="expired", failed_job="j")],
    "a cancelled job is attached to": [A, cancel(1), admit(2, "k", "attached")],
    "no answer of a cancelled job that was paid": [A, S, cancel(5), complete(6, "a", "fenced")],
    "an expired job starts": [admit(0, "j", expires=1.0), start(2, "a", fence=FENCE)],
    "a job expires before its time": [admit(0, "j", expires=5.0), start(2, "a", "unrun")],
    "a message counts that was sent for another job": [A, resent(3, job="i")],
    "a less urgent duplicate sends one more message": [
        admit(0, "j", priority=3),
        admit(1, "k", "resend", priority=6),
    ],
    "sent again before the wait doubled": [A, resent(3), admit(6, "k", "resend")],
    "undeliverable too soon": [A, resent(3), admit(9, "k", "negative")],
    "an attachment to nothing": [admit(1, "k", "attached")],
}


@pytest.mark.parametrize("ops", LEGAL.values(), ids=LEGAL)
def test_history_of_a_record_that_keeps_its_rules_is_explained(ops):
    assert check(ops) is None


@pytest.mark.parametrize("ops", ILLEGAL.values(), ids=ILLEGAL)
def test_history_that_breaks_a_rule_is_found_at_that_reply(ops):
    violation = check([*ops, admit(20, "later", "attached")])

    assert ops[-1].id == violation.ops[-1].id


def test_reads_are_left_out_of_the_story():
    looks = [read(1.2 + n / 10, "running", "j", "a", FENCE) for n in range(5)]

    violation = check([A, S, *looks, complete(2, "b")])

    assert ["admit", "start", "complete"] == [op.verb for op in violation.ops]


def test_story_ends_with_the_impossible_reply_despite_lost_ones():
    wrong = complete(4, "b")

    violation = check([A, S, renew(2, "a", None), wrong])

    assert wrong.id == violation.ops[-1].id
