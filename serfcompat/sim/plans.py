"""Random fault plans: scenarios made by dice, run under all laws, and shrunk if one is broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from serfcompat.errors import UsageError
from serfcompat.sim.bounds import convergence_ns
from serfcompat.sim.checkers import swim_laws
from serfcompat.sim.cluster import Cluster
from serfcompat.sim.faults import KINDS, kind_of
from serfcompat.sim.observer import Observer
from serfcompat.sim.scenario import Line, Scenario, Unexpected
from serfcompat.sim.serf_checkers import serf_laws
from serfcompat.sim.units import SECOND, duration_text, share_text
from serfcompat.sim.watch import Broken, Law, Watch
from serfcompat.swim.dice import Dice

STEPS = 500
"Points in time of a plan at which something may happen."
STEP_NS = SECOND // 5
"Between two of them: one gossip interval of a LAN."
FEWEST_NODES, MOST_NODES = 5, 25
LEAST_KINDS, MOST_KINDS = 3, 6
_SETTLED_NS = 15 * SECOND
"How long a cluster that has converged is watched further: it must stay so."
_LONGEST_FAULT_NS = 40 * SECOND


@dataclass(frozen=True)
class Outcome:
    """How the run of a plan ended."""

    broken: str | None
    "Which law, or None."
    error: str
    settled_ns: int
    "World time at which all views had converged."
    steps: int
    "Entries of the agenda that were carried out."


def make(seed: str, dice: Dice) -> Scenario:
    """A plan from dice: 5 to 25 nodes, 500 steps, three or more kinds of faults, all over at the end."""
    return _Maker(seed, dice).make()


class _Maker:
    def __init__(self, seed: str, dice: Dice) -> None:
        self.seed = seed
        self.dice = dice
        self.count = FEWEST_NODES + dice.randrange(MOST_NODES - FEWEST_NODES + 1)
        self.serf = dice.random() < 0.7
        self.lines: list[Line] = []
        names = [f"n{i}" for i in range(1, self.count + 1)]
        dice.shuffle(names)
        self._mortal = names[: (self.count - 1) // 2]
        "Hosts that may stop; the others always are a majority, so that there is a cluster to come back to."
        self.names = names

    def make(self) -> Scenario:
        kinds = list(KINDS)
        self.dice.shuffle(kinds)
        wanted = LEAST_KINDS + self.dice.randrange(MOST_KINDS - LEAST_KINDS + 1)
        while wanted > 0 or len(kinds_in(self.lines)) < LEAST_KINDS:
            kind = kinds.pop()
            for _ in range(1 + self.dice.randrange(3)):
                self._add(kind)
            wanted -= 1
        if self.serf:
            for i in range(2 + self.dice.randrange(6)):
                self._at(self._step(), "event", self._one(self.names), f"e{i}", f"p{i}")
        settings = [("dead_node_reclaim_time", "5s")]
        if self.dice.random() < 0.15:
            settings.append(("secret_key", "0123456789abcdef"))
        if self.dice.random() < 0.2:
            settings.append(("label", "plan"))
        if self.dice.random() < 0.5:
            settings.append(("enable_compression", "false"))
        if self.serf:
            self._add_work()
            if self.dice.random() < 0.2:  # who is away for long is forgotten
                settings += [("reconnect_timeout", "20s"), ("reap_interval", "2s")]
        return Scenario(
            seed=self.seed,
            nodes=self.count,
            level="serf" if self.serf else "memberlist",
            profile=("lan", "lan", "local")[self.dice.randrange(3)],
            start=("converged", "joining")[self.dice.randrange(2)],
            snapshots=self.serf and self.dice.random() < 0.3,
            settings=tuple(settings),
            lines=tuple(sorted(self.lines, key=lambda line: line.at_ns)),
            run_ns=STEPS * STEP_NS,
            settle=True,
        )

    def _add(self, kind: str) -> None:
        at_ns, lasting = self._step(), self._lasting()
        match kind:
            case "partition":
                side = self._some(self.names)
                self._at(at_ns, "partition", *side, lasting=lasting)
            case "block":
                source, target = self._some(self.names, 2)
                self._at(at_ns, "block", source, "->", target, lasting=lasting)
            case "unplug" | "pause" | "stall":
                self._at(at_ns, kind, self._one(self.names), lasting=lasting)
            case "slow":
                late = duration_text((1 + self.dice.randrange(20)) * 100_000_000)
                self._at(at_ns, "slow", self._one(self.names), "by", late, lasting=lasting)
            case "clock":
                rate = share_text((50 + self.dice.randrange(151)) / 100)
                self._at(at_ns, "clock", self._one(self.names), rate, lasting=lasting)
            case "host-loss":
                self._at(at_ns, "loss", self._share(80), self._one(self.names), lasting=lasting)
            case "loss" | "duplicate" | "reorder":
                self._at(at_ns, kind, self._share(40), lasting=lasting)
            case "latency":
                high = 10 + self.dice.randrange(290)
                self._at(at_ns, "latency", f"1ms..{high}ms", lasting=lasting)
            case "size-limit":
                self._at(at_ns, "size-limit", str(300 + self.dice.randrange(900)), lasting=lasting)
            case "crash":
                self._at(at_ns, "crash", self._one(self._mortal))
            case "restart" | "restart-moved":
                name = self._one(self._mortal)
                how = ["moved"] if kind == "restart-moved" else []
                self._at(at_ns, "crash", name)
                self._at(min(at_ns + lasting, STEPS * STEP_NS), "restart", name, *how)
            case "leave":
                self._at(at_ns, "leave", self._one(self._mortal))

    def _add_work(self) -> None:
        """What applications and operators do meanwhile, beside the events."""
        for i in range(self.dice.randrange(4)):
            self._at(self._step(), "tags", self._one(self.names), f"version={i}")
        for i in range(self.dice.randrange(3)):
            self._at(self._step(), "query", self._one(self.names), f"q{i}")
        for _ in range(self.dice.randrange(3)):
            self._at(self._step(), "force-leave", self._one(self.names), self._one(self.names))

    def _at(self, at_ns: int, *words: str, lasting: int = 0) -> None:
        end_ns = STEPS * STEP_NS
        self.lines.append(Line(at_ns, words, max(min(lasting, end_ns - at_ns), STEP_NS) if lasting else 0))

    def _step(self) -> int:
        return self.dice.randrange(STEPS) * STEP_NS

    def _lasting(self) -> int:
        return (1 + self.dice.randrange(_LONGEST_FAULT_NS // STEP_NS)) * STEP_NS

    def _share(self, most: int) -> str:
        return share_text((1 + self.dice.randrange(most)) / 100)

    def _one(self, names: list[str]) -> str:
        return names[self.dice.randrange(len(names))]

    def _some(self, names: list[str], count: int = 0) -> list[str]:
        chosen = list(names)
        self.dice.shuffle(chosen)
        return chosen[: count or 1 + self.dice.randrange(len(names) - 1)]


def laws_for(scenario: Scenario) -> list[Law]:
    return swim_laws() + (serf_laws() if scenario.level == "serf" else [])


def run(scenario: Scenario, dice: Callable[[str], Dice], observers: Iterable[Observer] = ()) -> Outcome:
    """Run a scenario under all laws; with `settle`, until every view has converged.

    An engine that raises counts as a broken law.
    """
    watch = Watch(laws_for(scenario))
    settled_ns = steps = 0
    broken, error = None, ""
    try:
        cluster = scenario.play(dice, [*observers, watch])
        if scenario.settle:
            settled_ns = _settle(cluster, watch)
            cluster.driver.agenda.run(cluster.driver.agenda.now_ns + _SETTLED_NS)
            watch.at_end()
        steps = cluster.driver.agenda.done
    except Broken as failure:
        broken, error = failure.law, str(failure)
    except Unexpected as failure:
        broken, error = "expectation", str(failure)
    except UsageError:
        raise
    except Exception as failure:  # whatever it is: it is what the plan was made to find
        broken, error = type(failure).__name__, f"{type(failure).__name__}: {failure}"
    return Outcome(broken, error, settled_ns, steps)


def _settle(cluster: Cluster, watch: Watch) -> int:
    """Let time pass until all laws of the end hold. Raises Broken if they don't within the bound."""
    agenda = cluster.driver.agenda
    while True:
        deadline_ns = watch.last_fault_ns + convergence_ns(cluster.config, len(cluster.hosts))
        try:
            watch.at_end()
        except Broken:
            if agenda.now_ns >= deadline_ns:
                raise
        else:
            return agenda.now_ns
        agenda.run(agenda.now_ns + SECOND)


def kinds_in(lines: Iterable[Line]) -> set[str | None]:
    """Kinds of faults in some lines. A crash of a host that is restarted sometime counts as the restart alone."""
    lines = list(lines)
    restarted = {line.words[1] for line in lines if line.words[0] == "restart"}
    kinds = {kind_of(line.words) for line in lines if not (line.words[0] == "crash" and line.words[1] in restarted)}
    return {kind for kind in kinds if kind is not None}


def coverage(scenarios: Iterable[Scenario]) -> dict[str, int]:
    """In how many plans each kind of fault occurs."""
    counts = Counter(kind for scenario in scenarios for kind in kinds_in(scenario.lines))
    return {kind: counts[kind] for kind in KINDS}
