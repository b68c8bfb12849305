"""Shares the inputs of a run among processes, and survives their deaths."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from tests.fuzz.targets import targets
from tests.fuzz.worker import Inputs, Tally, Worker, keep, limited_memory

BATCH = 250
"Inputs between two reports of a worker."
MOST_DEATHS = 10
"Workers that may die of their input before the run is given up."


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done."""

    count: int
    seed: int
    only: str
    processes: int

    def batches(self, first: int) -> Iterator[range]:
        """The numbers of one worker, from its number `first` on."""
        for start in range(first, self.count, BATCH * self.processes):
            yield range(start, min(start + BATCH * self.processes, self.count), self.processes)


def run(plan: Plan) -> Iterator[Tally]:
    """Work, and give what was seen, part by part. An input that kills its worker is a failure."""
    context = multiprocessing.get_context("spawn")
    current = context.Array("q", [-1] * plan.processes, lock=False)
    "By worker: the input that it is trying."
    workers: dict[Connection, tuple[int, Any]] = {}

    def start(share: int, first: int) -> None:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(plan, theirs, current, share, first), daemon=True)
        process.start()
        theirs.close()
        workers[ours] = (share, process)

    for share in range(plan.processes):
        start(share, share)
    deaths = 0
    while workers:
        for ready in wait(list(workers)):
            assert isinstance(ready, Connection)
            try:
                yield ready.recv()
                continue
            except EOFError:
                share, process = workers.pop(ready)
            process.join()
            if process.exitcode == 0:
                continue
            if (number := current[share]) < 0:
                raise RuntimeError(f"a worker could not start (status {process.exitcode})")
            yield _death(plan, number, process.exitcode)
            deaths += 1
            if deaths < MOST_DEATHS:
                start(share, number + plan.processes)


def _death(plan: Plan, number: int, status: int) -> Tally:
    """Only a crash of the interpreter, or of a library in C, ends a worker."""
    target, data = Inputs(targets(plan.only), plan.seed)[number]
    path = keep(target, plan.seed, number, data)
    kind = f"{target.name}: the process died, status {status}"
    return Tally(inputs=1, failures=1, told={kind: f"{kind}\n    python -m tests.fuzz --replay {path}"})


def _work(plan: Plan, report: Connection, current: Any, share: int, first: int) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it as well, and ends us
    worker = Worker(targets(plan.only), plan.seed)

    def announced(numbers: range) -> Iterator[int]:
        for number in numbers:
            current[share] = number
            yield number

    with limited_memory():
        for batch in plan.batches(first):
            worker.tally = Tally(told=dict.fromkeys(worker.tally.told, ""))
            worker.work(announced(batch))
            report.send(worker.tally)
