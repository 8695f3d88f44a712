"""Shows how far a run is: drawn on a terminal, as JSON lines elsewhere, as a summary at the end.

    run ── update(counts) ──> Progress ── a thread, each quarter of a second or each 5 s ──> View
        ── note(line) ──────────────────────────── at once ─────────────────────────────────┘

The run pays nothing for it: an update stores one reference. The thread copies the counts when it draws.
"""
