"""Something that reads bytes from outside, and the inputs it is tried with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


def _as_it_is(data: bytes) -> bytes:
    return data


@dataclass(frozen=True, slots=True)
class Target:
    """Refusing an input means to raise `WireError`; anything else that comes out is a failure."""

    name: str
    run: Callable[[bytes], None]
    "May also check what it read, and raise AssertionError."
    corpus: Sequence[bytes]
    weight: float
    "How often it is tried, compared with the others."
    wrap: Callable[[bytes], bytes] = _as_it_is
    "Puts layers around an input after it was mutated: a changed ciphertext would never get any further."
