"""Random choices, as the engines ask for them. `random.Random` is one; the simulator's is seeded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Dice(Protocol):
    """The part of `random.Random` that protocol code uses."""

    def random(self) -> float: ...

    def randrange(self, stop: int, /) -> int: ...

    def shuffle(self, x: Any, /) -> None: ...


def pick(dice: Dice, count: int, items: Sequence[T], wanted: Callable[[T], bool]) -> list[T]:
    """Up to `count` different items that are wanted (Go `kRandomNodes`, spec memberlist §6.10).

    With fewer than `3 * count` items all are looked at; otherwise `3 * len(items)` draws
    with replacement are made, so that fewer may be found (M-171).
    """
    if len(items) < 3 * count:
        shuffled = list(items)
        dice.shuffle(shuffled)
        return [item for item in shuffled if wanted(item)][:count]
    chosen: list[T] = []
    for _ in range(3 * len(items)):
        if len(chosen) >= count:
            break
        item = items[dice.randrange(len(items))]
        if wanted(item) and all(item is not other for other in chosen):
            chosen.append(item)
    return chosen
