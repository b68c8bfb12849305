"""One converged table for all nodes, copied entry by entry where a node changes it.

A thousand nodes that know each other have a million entries between them, nearly all
alike. Here they share one object per member; a node that changes what it thinks of a
member gets an entry of its own first (`Membership.own`, `Members.own`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Protocol, TypeVar


class Named(Protocol):
    @property
    def name(self) -> bytes: ...


V = TypeVar("V")
N = TypeVar("N", bound=Any)


class SharedDict(dict[bytes, V]):
    """A dict that begins as a view of another; only what is set or deleted in it costs memory.

    The other must not change any more. Order is the other's, then that of new keys.
    """

    __slots__ = ("_base", "_gone", "_new")

    def __init__(self, base: Mapping[bytes, V]) -> None:
        super().__init__()
        self._base = base
        self._gone: set[bytes] = set()
        "Keys of the base that were deleted."
        self._new = 0
        "Keys of ours that the base doesn't have."

    def __missing__(self, key: bytes) -> V:
        if key in self._gone:
            raise KeyError(key)
        return self._base[key]

    def get(self, key: bytes, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or (key in self._base and key not in self._gone)

    def __len__(self) -> int:
        return len(self._base) - len(self._gone) + self._new

    def __iter__(self) -> Iterator[bytes]:
        for key in self._base:
            if key not in self._gone:
                yield key
        if self._new:
            for key in dict.__iter__(self):
                if key not in self._base or key in self._gone:
                    yield key

    def __setitem__(self, key: bytes, value: V) -> None:
        if not dict.__contains__(self, key) and (key not in self._base or key in self._gone):
            self._new += 1
        dict.__setitem__(self, key, value)

    def __delitem__(self, key: bytes) -> None:
        mine, known = dict.__contains__(self, key), key in self._base and key not in self._gone
        if not mine and not known:
            raise KeyError(key)
        if mine:
            dict.__delitem__(self, key)
        if known:
            self._gone.add(key)
        else:
            self._new -= 1

    def pop(self, key: bytes, *default: Any) -> Any:
        try:
            value = self[key]
        except KeyError:
            if default:
                return default[0]
            raise
        del self[key]
        return value

    def keys(self) -> KeysView[bytes]:  # type: ignore[override]
        return KeysView(self)

    def values(self) -> ValuesView[V]:  # type: ignore[override]
        return ValuesView(self)

    def items(self) -> ItemsView[bytes, V]:  # type: ignore[override]
        return ItemsView(self)


def own(base: Mapping[bytes, N], mine: Callable[[], dict[bytes, N]], ring: Callable[[], list[N]]) -> Callable[[N], N]:
    """What gives a node an entry of its own, in place of the shared one.

    Args:
        mine: The node's dict now; it may have been replaced by a plain one since.
        ring: A list that holds the same entries; empty if there is none.
    """

    def take(entry: N) -> N:
        if base.get(entry.name) is not entry:
            return entry
        taken = copy.copy(entry)
        mine()[entry.name] = taken
        if held := ring():
            held[held.index(entry)] = taken
        return taken

    return take
