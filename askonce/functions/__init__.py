"""Cached functions: paid once, over threads, processes and machines.

``cached_json`` and ``get_cache`` use one cache of the process, which finds its store at the first call: what
``configure`` was given by then. An application with several stores makes a ``FunctionCache`` for each.
"""

from askonce.functions.cache import FunctionCache
from askonce.functions.values import Values
from askonce.functions.wrapped import CachedCoroutineFunction, CachedFunction, Decorator
from askonce.kinds import KINDS

__all__ = [
    "KINDS",
    "CachedCoroutineFunction",
    "CachedFunction",
    "Decorator",
    "FunctionCache",
    "Values",
    "cached_json",
    "configure",
    "get_cache",
]

_default = FunctionCache()
cached_json = _default.cached_json
get_cache = _default.get_cache
configure = _default.configure
