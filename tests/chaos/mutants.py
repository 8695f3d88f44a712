"""Errors that the checker must find: (verb, what its script says, what it says instead)."""

from askonce.adapters.redis import scripts

MUTANTS = {
    "complete forgets the owner": ("complete", "if r.own ~= owner then", "if false then"),
    "start forgets the lease": ("start", "if NOW < r.dl then return copy('busy') end", ""),
    "start forgets the job": ("start", "if r.job ~= job then", "if false then"),
    "start forgets the pause": ("start", "if r.paused then", "if false then"),
    "admit forgets the answer": ("admit", "if fresh then", "if false then"),
    "cancel forgets the run": ("cancel", "local running = r.fl == 'running'", "local running = false"),
    "the fence stands still": ("start", "math.max(r.fen + 1, NOW_US, r.latest + 1)", "math.max(r.fen, 1)"),
}


def break_on_purpose(name):
    """Break the scripts of every store that this process makes from now on."""
    verb, before, after = MUTANTS[name]
    healthy = scripts.sources

    def broken(clock=None):
        sources = healthy(clock)
        assert before in sources[verb], f"the mutant {name!r} does not fit {verb}.lua any more"
        # `publish` runs around the whole of `admit`.
        scripts_of = [name for name in (verb, "publish") if before in sources[name]]
        return sources | {name: sources[name].replace(before, after) for name in scripts_of}

    scripts.sources = broken
