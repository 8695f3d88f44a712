"""Puts messages into the queue behind the producer's back: reads (task, kwargs) as JSON lines from a file."""

import json
import sys
from pathlib import Path

from celery import Celery


def main():
    """Send each line of the file that the command line names."""
    app = Celery("stranger", config_source="celeryconfig")
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        task, kwargs = json.loads(line)
        app.send_task(task, kwargs=kwargs)


if __name__ == "__main__":
    main()
