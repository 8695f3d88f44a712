"""Which counters of a tally are of runs."""

#: What runs and their messages do; counted for the task alone, under no tenant and no model.
_OF_RUNS = frozenset({"wait_ms", "run_ms", "restarted", "lost", "parked", "fenced", "resent", "copy"})


def is_of_runs(what: str) -> bool:
    """Return whether *what* counts runs, not calls of enqueue, ends of jobs or money."""
    return what in _OF_RUNS or what.startswith(("wait:", "run:"))
