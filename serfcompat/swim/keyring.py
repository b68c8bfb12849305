"""The keys of a cluster, in order (spec memberlist §5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from serfcompat.errors import UsageError
from serfcompat.swim.config import KEY_SIZES
from serfcompat.wire.aead import aead


class Keyring(Sequence[bytes]):
    """A live list of keys: the first is the primary one, which encrypts; all decrypt.

    Empty means that encryption is off. Whoever holds it sees each change at once, so the first
    `add` turns encryption on. Its `repr` shows no key.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes] = (), *, primary: bytes | None = None) -> None:
        """Start with `keys`, each once, in this order, and `primary` before all of them.

        Without `primary` the first key is it. Raises UsageError for a key of a wrong size.
        """
        self._keys: list[bytes] = []
        for key in (primary, *keys):
            if key is not None:
                self.add(key)

    def add(self, key: bytes) -> None:
        """Append a key; nothing changes if it is there already. Raises UsageError for a wrong size."""
        # The texts of these errors travel in key query responses, where upstream's are known.
        if len(key) not in KEY_SIZES:
            raise UsageError("key size must be 16, 24 or 32 bytes")
        if key not in self._keys:
            aead()  # imports the library now, rather than while a packet waits
            self._keys.append(bytes(key))

    def use(self, key: bytes) -> None:
        """Make a key of the ring the primary one; the others keep their order. Raises UsageError if it isn't there."""
        if key not in self._keys:
            raise UsageError("requested key is not in the keyring")
        self._keys.remove(key)
        self._keys.insert(0, key)

    def remove(self, key: bytes) -> None:
        """Drop a key; nothing changes if it isn't there. Raises UsageError for the primary one, or an empty ring.

        ⚠ Upstream crashes on an empty ring (defect B-13).
        """
        if not self._keys:
            raise UsageError("the keyring is empty")
        if key == self._keys[0]:
            raise UsageError("removing the primary key is not allowed")
        if key in self._keys:
            self._keys.remove(key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._keys)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        return self._keys[index]

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._keys)}>"
