"""Runs many scripts on both sides, several at a time, and shrinks those that differ."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from serfcompat.conformance.agents import Setup
from serfcompat.conformance.differential.play import Notes, Player, differences
from serfcompat.conformance.differential.script import Script, generate, shrink
from serfcompat.errors import SerfCompatError
from serfcompat.testing.processes import Kind

AT_ONCE = 3
"Pairs of clusters that play at the same time."
CONFIRMED = 2
"How often a script must differ on clusters of its own before it is believed: gossip is random."


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of one script."""

    script: Script
    "The shortest that still differs; the whole one if nothing does."
    differences: Sequence[str]
    "Empty: both sides agree. Lines with - are the reference's, those with + the other's."

    @property
    def agrees(self) -> bool:
        return not self.differences


Told = Callable[[Compared, int, int], None]
"Told of each script as it is done, with the number of those done and of all."


class Comparison:
    """Two kinds of agents: the reference's and the ones that are tested."""

    def __init__(self, reference: Kind, tested: Kind, setup: Setup | None = None) -> None:
        self._kinds = (reference, tested)
        self._setup = setup or Setup()

    def run(self, seeds: Sequence[int], *, at_once: int = AT_ONCE, told: Told | None = None) -> list[Compared]:
        """Compare the scripts of these seeds; in the order of the seeds."""
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for seed in seeds:
            waiting.put(seed)
        found: dict[int, Compared] = {}
        lock = threading.Lock()

        def lane(_: int) -> None:
            with _Pair(self._kinds, self._setup) as pair:
                while True:
                    try:
                        seed = waiting.get_nowait()
                    except queue.Empty:
                        return
                    compared = self.compare(generate(seed), pair)
                    with lock:
                        found[seed] = compared
                        if told is not None:
                            told(compared, len(found), len(seeds))

        with ThreadPoolExecutor(at_once, "pair") as pool:
            list(pool.map(lane, range(min(at_once, len(seeds)))))
        return [found[seed] for seed in seeds]

    def compare(self, script: Script, pair: _Pair) -> Compared:
        """One script on running clusters; if they differ, again on new ones, and shorter."""
        if not pair.play(script):
            return Compared(script, ())
        for _ in range(CONFIRMED):
            if not (last := self._anew(script)):
                return Compared(script, ())
        shortest = shrink(script, lambda candidate: bool(self._anew(candidate)))
        return Compared(shortest, self._anew(shortest) or last)

    def _anew(self, script: Script) -> list[str]:
        with _Pair(self._kinds, self._setup) as pair:
            return pair.play(script)


class _Pair:
    """A cluster of either kind."""

    def __init__(self, kinds: tuple[Kind, Kind], setup: Setup) -> None:
        self._kinds, self._setup = kinds, setup
        self._players: list[Player] = []

    def play(self, script: Script) -> list[str]:
        """How the two differ over a script."""
        if not self._players:
            self._players = [Player(kind, self._setup) for kind in self._kinds]
        with ThreadPoolExecutor(2, "player") as pool:
            notes = list(pool.map(lambda player: _play(player, script), self._players))
        found = differences(*notes) if len(notes[0]) == len(notes[1]) else [f"  - {notes[0]}", f"  + {notes[1]}"]
        if found:
            self.close()  # whatever went wrong must not go on into the next script
        return found

    def close(self) -> None:
        for player in self._players:
            player.__exit__()
        self._players = []

    def __enter__(self) -> _Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _play(player: Player, script: Script) -> list[Notes]:
    try:
        return player.play(script)
    except SerfCompatError as error:
        return [[f"the cluster could not be made ready: {error}"]]
