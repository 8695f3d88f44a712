"""Records on Redis or Valkey."""

from askonce.adapters.redis.store import RedisStore

__all__ = ["RedisStore"]
