"""The pace of calls to one provider, shared by all processes: how many at once, how many a second, when none.

    call ── wait for a turn ── send ── report ──> law ──> state ──> every process's share
                 │                                 (on a board of the store, twice a second)
                 └─ too long: Postponed, the job is parked

No caller makes a round trip for it: a thread of each process reports what its calls met, and gets its share.
"""

from askonce.pace.gate import Pace
from askonce.pace.state import Allowance, Provider, Rest, State
from askonce.pace.turn import Turn

__all__ = ["Allowance", "Pace", "Provider", "Rest", "State", "Turn"]
