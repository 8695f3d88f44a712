"""Many meetings for one worker, and what became of them."""

from pathlib import Path

#: The answers by name that the stand-in model can be told to give.
ANSWERS = Path(__file__).parents[1] / "answers.jsonl"
#: Calls at once of one worker.
SLOTS = 64
POOLS = {"threads": ("-P", "threads", "-c", str(SLOTS)), "prefork": ("-P", "prefork", "-c", "4")}


def meetings(count, marker="ROW"):
    """Return meetings that differ in everything; the stand-in finds each by the text `<marker>-<number>.`"""
    return [
        {"meeting_id": f"{marker}-{number}", "transcript": f"Ana: We ship {marker}-{number}. on Friday."}
        for number in range(count)
    ]


def log_of(machine, name="worker"):
    return (machine.folder / f"{name}.log").read_text(errors="replace")


def events(machine, event, name="worker"):
    """Return the lines of the worker's log that tell of an event."""
    return [line for line in log_of(machine, name).splitlines() if f" {event} " in line]


def assert_all_answered(told, count, attempts=frozenset({1})):
    """Each row has its answer, and no row used more attempts than these."""
    assert ["done"] * count == [row["status"] for row in told.reports]
    assert {row["attempts"] for row in told.reports} <= attempts
