"""Tries inputs one after the other, with bounds on time and memory, and keeps those that fail."""

from __future__ import annotations

import random
import resource
import signal
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from time import process_time
from types import FrameType

from serfcompat.errors import WireError
from tests.fuzz.mutate import Mutator
from tests.fuzz.target import Target

FOLDER = Path("build/fuzz")
MEMORY = 384 << 20
"Bytes of address space that a worker may use beyond what it has when it begins. The largest legal result has 40 MiB."
SLOW = 2.0
"Seconds of CPU from which on an input counts as a failure."
HANGS = 10.0
"Seconds of CPU after which an input is interrupted."
SLOWEST = 5
"How many of the slowest inputs are told."


class Hangs(BaseException):
    """Out of time. Not an Exception, so that nothing under test swallows it."""


@dataclass(slots=True)
class Slow:
    """How long an input took."""

    seconds: float
    target: str
    number: int
    size: int


@dataclass(slots=True)
class Tally:
    """What a worker has seen so far."""

    inputs: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    told: dict[str, str] = field(default_factory=dict)
    "One line for each kind of failure, and how to see it again."
    slowest: list[Slow] = field(default_factory=list)
    peak: int = 0
    "Bytes of the largest resident size."

    def add(self, other: Tally) -> None:
        self.inputs += other.inputs
        self.accepted += other.accepted
        self.refused += other.refused
        self.failures += other.failures
        for kind, line in other.told.items():
            self.told.setdefault(kind, line)
        self.slowest = sorted(self.slowest + other.slowest, key=lambda slow: -slow.seconds)[:SLOWEST]
        self.peak = max(self.peak, other.peak)


class Inputs:
    """The inputs of a seed, by number."""

    def __init__(self, targets: Sequence[Target], seed: int) -> None:
        self._targets = targets
        self._bounds = list(accumulate(target.weight for target in targets))
        self._seed = seed
        self._dice = random.Random()
        self._mutator = Mutator(self._dice)

    def __getitem__(self, number: int) -> tuple[Target, bytes]:
        self._dice.seed(self._seed << 64 | number)
        (target,) = self._dice.choices(self._targets, cum_weights=self._bounds)
        return target, target.wrap(self._mutator.input(target.corpus))


class Worker:
    """Does the work of one process."""

    def __init__(self, targets: Sequence[Target], seed: int) -> None:
        self._inputs = Inputs(targets, seed)
        self._seed = seed
        self.tally = Tally()

    def work(self, numbers: Iterable[int]) -> None:
        """Try the inputs with these numbers. Uses the process's virtual timer."""
        before = signal.signal(signal.SIGVTALRM, _interrupt)
        try:
            self._try_all(numbers)
        finally:
            signal.signal(signal.SIGVTALRM, before)

    def _try_all(self, numbers: Iterable[int]) -> None:
        tally = self.tally
        for number in numbers:
            target, data = self._inputs[number]
            tally.inputs += 1
            start = process_time()
            signal.setitimer(signal.ITIMER_VIRTUAL, HANGS)
            try:
                target.run(data)
            except WireError:
                tally.refused[target.name] += 1
            except (Exception, Hangs) as error:
                self._failed(target, number, data, error)
            else:
                tally.accepted[target.name] += 1
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            self._took(process_time() - start, target, number, data)
        tally.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def _took(self, seconds: float, target: Target, number: int, data: bytes) -> None:
        slowest = self.tally.slowest
        if len(slowest) < SLOWEST or seconds > slowest[-1].seconds:
            slowest.append(Slow(seconds, target.name, number, len(data)))
            slowest.sort(key=lambda slow: -slow.seconds)
            del slowest[SLOWEST:]
        if SLOW < seconds < HANGS:
            self._failed(target, number, data, TimeoutError(f"took {seconds:.1f} s of CPU"))

    def _failed(self, target: Target, number: int, data: bytes, error: BaseException) -> None:
        self.tally.failures += 1
        kind = f"{target.name}: {type(error).__name__} at {_where(error)}"
        if kind not in self.tally.told:
            path = keep(target, self._seed, number, data)
            path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            self.tally.told[kind] = f"{kind}: {str(error)[:200]}\n    python -m tests.fuzz --replay {path}"


def keep(target: Target, seed: int, number: int, data: bytes) -> Path:
    """Write an input to where `--replay` finds it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{_slug(target.name)}.{seed}-{number}.bin"
    path.write_bytes(data)
    return path


def target_of(path: Path, targets: Sequence[Target]) -> Target:
    """Which target a kept input belongs to. Raises ValueError."""
    for target in targets:
        if _slug(target.name) == path.name.partition(".")[0]:
            return target
    raise ValueError(f"{path.name} does not begin with the name of a target")


@contextmanager
def limited_memory() -> Iterator[None]:
    """So that a runaway allocation raises MemoryError here, instead of disturbing the whole machine.

    ⚠ Children inherit the limit.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise Hangs(f"not done after {HANGS:.0f} s of CPU")


def _where(error: BaseException) -> str:
    """The innermost line of ours."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if "serfcompat" in frame.filename:
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return "the check"


def _slug(name: str) -> str:
    return "".join(char if char.isalnum() else "-" for char in name)
