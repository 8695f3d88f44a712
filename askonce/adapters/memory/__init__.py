"""Records in one process."""

from askonce.adapters.memory.store import MemoryStore

__all__ = ["MemoryStore"]
