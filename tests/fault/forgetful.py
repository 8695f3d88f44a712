"""Loaded into a worker with -I: its first answer is stored without what it paid."""

from itertools import count

from askonce.adapters.redis import RedisStore

complete, stored = RedisStore.complete, count()


def forgetful(self, lease, answer, ttl, book=None, **kept):
    return complete(self, lease, answer, ttl, book if next(stored) else None, **kept)


RedisStore.complete = forgetful
