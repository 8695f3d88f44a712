"""What happens in the histories of one key."""

from hypothesis import strategies as st

from askonce.controls import Mark, Pause
from askonce.job import Routing
from askonce.tally import Book

# Durations are sums of eighths of a second: the reference computes in floats, the scripts in
# milliseconds, and both are exact there. None stands for the record's own value at that moment.
JOBS = st.sampled_from(["job-1", "job-2", None, None, None])
OWNERS = st.sampled_from(["owner-1", "owner-2", "owner-3", None, None, None])
FINGERPRINTS = st.sampled_from(["fp-1"] * 5 + ["fp-2"])
LEASES = st.sampled_from([0.125, 30.0])
#: Of the message that starts a job.
AGES = st.sampled_from([None, 3599.875, 3600.0])
TIMES = st.sampled_from([0.125, 9.0, 30.0, 60.0, 600.0])
FAILURES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(
            ["transient", "transient", "transient", "permanent", "configuration", "cancelled", "fallback"]
        ),
        "reason": st.sampled_from(["http_503", "undeliverable"]),
        "after": st.sampled_from([0.0, 9.0]),
        "keep": st.sampled_from([0.0, 9.0, 120.0]),
        "quarantine": st.booleans(),
        "max_attempts": st.sampled_from([None, None, None, 1, 2, 5]),
        "data": st.sampled_from([None, b"j0"]),
    }
)


#: What a caller may bring; most bring nothing.
BROUGHT = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {
            "countdown": st.sampled_from([0.0, 9.0, 30.0]),
            "expires": st.sampled_from([None, 9.0, 60.0]),
            "routing": st.sampled_from([Routing(), Routing("slow", 3), Routing("", 6), Routing("", 3)]),
            "chosen": st.sampled_from([(), ("queue", "priority<"), ("priority>",)]),
            "run": st.sampled_from(["", "night"]),
            "reject": st.booleans(),
            "tags": st.sampled_from([(), ("red",), ("blue", "red")]),
            "stale_while_revalidate": st.sampled_from([0.0, 0.0, 60.0]),
        }
    ),
)
MARKS = st.sampled_from(
    [
        Mark("task", "orders"),
        Mark("version", "orders", "1"),
        Mark("tenant", "x"),
        Mark("tag", "red"),
        Mark("all"),
    ]
)
PAUSES = st.sampled_from(
    [
        Pause("all"),
        Pause("task", "orders"),
        Pause("run", "night"),
        Pause("tenant", "x"),
        Pause("queue", "slow"),
    ]
)
BOOK = Book("orders", "", "", (("calls", 1), ("micro_usd", 7)))
