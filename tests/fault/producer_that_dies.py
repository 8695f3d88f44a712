"""Asks with the real producer, and is killed between the record and the message."""

import json
import os
import signal
import sys

from askonce.enqueue import Producer
from producer.client import connect
from settings.environment import load_or_exit


class Dying:
    """A way to the workers on which nobody arrives."""

    def __init__(self, sender):
        """Take the routes of a real one."""
        self.route, self.more_urgent = sender.route, sender.more_urgent

    def send(self, message):
        """End this process as a power cut would."""
        os.kill(os.getpid(), signal.SIGKILL)


def main():
    """Take the task and its payload from the command line."""
    client = connect(load_or_exit())
    task, payload = sys.argv[1], json.loads(sys.argv[2])
    Producer(store=client.store, sender=Dying(client.producer.sender)).enqueue(client.specs[task], payload)


if __name__ == "__main__":
    main()
