"""Loaded into a worker with -I: its first job ends, and its message is never acknowledged."""

from itertools import count

from kombu.message import Message

acknowledge, ends = Message.ack_log_error, count()


def losing(self, *args, **options):
    if next(ends):
        acknowledge(self, *args, **options)


Message.ack_log_error = losing
