"""Django's cache framework, with caches in the memory of each worker that forget together.

    from django.core.cache import cache
    from serfcompat.contrib.django.cache import invalidate

    flag = cache.get_or_set("flags", load_flags, 300)   # local memory: no network
    ...
    invalidate("flags")                                 # after a change: in every worker of every host

Call `connect()` once, in your AppConfig's `ready` or wherever the module is imported by all workers; see
`serfcompat.contrib.invalidation` for what is promised.
"""

from __future__ import annotations

from django.core.cache import DEFAULT_CACHE_ALIAS, caches

from serfcompat.contrib.invalidation import EVENT, Invalidation
from serfcompat.contrib.local import local

_known: dict[str, Invalidation] = {}


def connect(alias: str = DEFAULT_CACHE_ALIAS) -> Invalidation:
    """Let this process's cache of that name forget what others invalidate. The same one for the same alias."""
    if alias not in _known:
        event = EVENT if alias == DEFAULT_CACHE_ALIAS else f"{EVENT}-{alias}"
        # ⚠ `caches` gives each thread its own object; the memory below is the process's.
        _known[alias] = Invalidation(
            local(), lambda keys: caches[alias].delete_many(keys), lambda: caches[alias].clear(), event=event
        )
    return _known[alias]


def invalidate(*keys: str, alias: str = DEFAULT_CACHE_ALIAS) -> None:
    """Forget these keys in all workers that called `connect`; see `Invalidation.invalidate`."""
    connect(alias).invalidate(*keys)
