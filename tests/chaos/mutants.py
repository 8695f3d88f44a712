"""Errors that the checker must find: (verb, what its script says, what it says instead)."""

MUTANTS = {
    "complete forgets the owner": ("complete", "if r.own ~= ARGV[1] then return 'fenced' end", ""),
    "start forgets the lease": ("start", "if NOW < r.dl then return reply('busy', r) end", ""),
    "start forgets the job": ("start", "if r.job ~= job then", "if false then"),
    "admit forgets the answer": ("admit", "if fresh then return reply('hit', r) end", ""),
    "the fence stands still": ("start", "fen = math.max(r.fen + 1, NOW_US)", "fen = math.max(r.fen, 1)"),
}
