"""Errors that the checker must find: (verb, what its script says, what it says instead)."""

MUTANTS = {
    "complete forgets the owner": ("complete", "if r.own ~= owner or (", "if ("),
    "start forgets the lease": ("start", "if NOW < r.dl then return reply('busy', r) end", ""),
    "start forgets the job": ("start", "if r.job ~= job then", "if false then"),
    "start forgets the pause": ("start", "if r.paused then", "if false then"),
    "admit forgets the answer": ("admit", "if fresh then", "if false then"),
    "cancel forgets the run": ("cancel", "if r.fl == 'running' then return 'running' end", ""),
    "the fence stands still": ("start", "fen = math.max(r.fen + 1, NOW_US)", "fen = math.max(r.fen, 1)"),
}
