"""One question to a simulated cluster: what happens if some nodes die on a network like this?"""

from __future__ import annotations

import contextlib
import gc
import itertools
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from serfcompat.errors import UsageError
from serfcompat.sim.cluster import Cluster
from serfcompat.sim.measure import Measurement
from serfcompat.sim.observer import Observer
from serfcompat.sim.scenario import Scenario
from serfcompat.sim.units import SECOND
from serfcompat.swim.dice import Dice

_QUIET_NS = 5 * SECOND
"Before the first kill."


@dataclass(frozen=True)
class Spread:
    """Times of several deaths, in seconds. None: there was none."""

    median: float | None
    most: float | None

    @classmethod
    def of(cls, times_ns: Iterable[int | None]) -> Spread:
        times = [ns / SECOND for ns in times_ns if ns is not None]
        return cls(statistics.median(times), max(times)) if times else cls(None, None)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The answer. Rates are per node that runs at the end, and second."""

    nodes: int
    seconds: float
    seed: str
    killed: int
    failed: int
    "Killed nodes that somebody declared failed."
    disseminated: int
    "Killed nodes that everybody who runs knows to be failed."
    false_failures: int
    "Times that a node took another for failed which answers."
    false_suspicions: int
    converged: bool
    first_suspicion: Spread
    first_detection: Spread
    dissemination: Spread
    messages: int
    "Datagrams sent."
    lost: int
    "Datagrams that did not arrive."
    messages_per_node_second: float
    bytes_per_node_second: float
    "In datagrams, IP and UDP headers not counted."
    streams: int
    stream_bytes_per_node_second: float
    steps: int
    "Steps that the simulation made."
    measurement: Measurement = field(repr=False, compare=False)

    def summary(self) -> dict[str, object]:
        """Everything in plain values, for JSON."""
        plain: dict[str, object] = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, Spread):
                plain[f"{name}_median"], plain[f"{name}_max"] = _rounded(value.median), _rounded(value.most)
            elif isinstance(value, float):
                plain[name] = round(value, 3)
            elif name != "measurement":
                plain[name] = value
        return plain


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Let the garbage collector look less often: a large cluster is millions of objects, hardly any in cycles."""
    usual = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A scenario's cluster, of which `kill` nodes die at random times in its first third."""

    scenario: Scenario
    kill: int = 0
    seconds: float = 60.0

    def run(
        self,
        dice: Callable[[str], Dice],
        *,
        observers: Sequence[Observer] = (),
        progress: Callable[[float], None] = lambda _seconds: None,
    ) -> Result:
        """Run it, and tell the progress in virtual seconds. Raises UsageError."""
        if not 0 <= self.kill < self.scenario.nodes:
            raise UsageError(f"{self.kill} of {self.scenario.nodes} nodes can't be killed: at least one must be left")
        measurement = Measurement()
        with _rare_collections():
            cluster = self.scenario.cluster(dice, [*observers, measurement])
            measurement.follow(cluster)
            self._plan_kills(cluster, measurement)
            agenda = cluster.driver.agenda
            end_ns = round(self.seconds * SECOND)
            measurement.sample()
            for second_ns in itertools.chain(range(SECOND, end_ns, SECOND), [end_ns]):
                agenda.run(second_ns)
                measurement.sample()
                progress(second_ns / SECOND)
            return self._result(cluster, measurement)

    def _plan_kills(self, cluster: Cluster, measurement: Measurement) -> None:
        dice = cluster.dice_of("kills")
        names = [host.name for host in cluster.hosts]
        dice.shuffle(names)
        latest_ns = max(_QUIET_NS, round(self.seconds * SECOND / 3))

        def kill(name: str) -> None:
            measurement.killed(name)
            cluster.crash(name)

        for name in names[: self.kill]:
            cluster.driver.agenda.at(_QUIET_NS + int(dice.random() * (latest_ns - _QUIET_NS)), kill, name)

    def _result(self, cluster: Cluster, measurement: Measurement) -> Result:
        deaths, running = list(measurement.deaths.values()), len(cluster.running)
        spread = [death.dissemination_ns(running) for death in deaths]
        total = measurement.samples[-1] - measurement.samples[0]
        node_seconds = running * self.seconds
        return Result(
            nodes=self.scenario.nodes,
            seconds=self.seconds,
            seed=self.scenario.seed,
            killed=len(deaths),
            failed=sum(bool(death.failed_ns) for death in deaths),
            disseminated=sum(ns is not None for ns in spread),
            false_failures=len(measurement.false_failures),
            false_suspicions=measurement.false_suspicions,
            converged=cluster.converged,
            first_suspicion=Spread.of(death.first_suspicion_ns for death in deaths),
            first_detection=Spread.of(death.first_detection_ns for death in deaths),
            dissemination=Spread.of(spread),
            messages=total.packets,
            lost=cluster.network.lost,
            messages_per_node_second=total.packets / node_seconds,
            bytes_per_node_second=total.packet_bytes / node_seconds,
            streams=total.streams,
            stream_bytes_per_node_second=total.stream_bytes / node_seconds,
            steps=cluster.driver.agenda.done,
            measurement=measurement,
        )


def sweep(experiment: Experiment, parameters: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, Experiment]]:
    """One experiment for each combination of settings, with its name: `suspicion_mult=3 probe_interval=1s`."""
    combinations = itertools.product(*[[(name, value) for value in values] for name, values in parameters])
    return [
        (
            " ".join(f"{name}={value}" for name, value in combination),
            Experiment(
                scenario=experiment.scenario.replace(settings=experiment.scenario.settings + combination),
                kill=experiment.kill,
                seconds=experiment.seconds,
            ),
        )
        for combination in combinations
    ]
