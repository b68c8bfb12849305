"""Scenarios: what happens to a cluster, and what is expected of it, in plain text.

    # a node cut off is declared failed, and comes back by itself
    seed 7
    nodes 5
    at 10s partition n4
    expect by 60s everyone sees n4 failed
    at 70s heal
    expect by 2m all agree

Blank lines and `#` comments are ignored. First come settings, one a line:

    seed TEXT            nodes N [serf|memberlist]      profile lan|wan|local
    start converged|joining|apart       snapshots       run TIME (default: the last line's time)
    latency 1ms | 1ms..5ms | ~3ms       loss 5%   duplicate 1%   reorder 1%   size-limit 1200
    set FIELD VALUE      any field of `Config` or `MemberlistConfig`, seconds as 10s or 10

Then `at TIME FAULT`; faults marked + may end by themselves: `… for 5s`.

    crash n3                     restart n3 [moved] [via n1]      leave n3
    pause n3 +                   resume n3                        slow n3 by 300ms +
    stall n3 +                   go-on n3                         clock n3 150% +
    partition n1 n2 [| n3 …] +   block n1 -> n2 +                 unplug n3 +
    heal [n3]
    loss 30% [n3] +   duplicate 5% +   reorder 5% +   latency 1ms..90ms +   size-limit 600 +
    join n3 n1 …      event n1 NAME [PAYLOAD]   query n1 NAME   tags n1 key=value …   force-leave n1 n3 [prune]

And `expect at TIME WHAT`, or `expect by TIME WHAT`: it must become true until then, once has happened what
stands above it and is over by then; `expect after TIME by TIME WHAT` says since when it counts.

    n1 sees n4 dead        everyone sees n4 failed        all agree

`dead` and `failed` are the same; `gone` is dead, failed, left or unknown. `all agree`:
every running node sees exactly the running ones as alive. The line `settle` wants all
views to agree, and all that was said to be heard, within a bound computed for the worst
case after the last fault.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from serfcompat.errors import UsageError
from serfcompat.serf.config import Config
from serfcompat.sim.cluster import Cluster, Start
from serfcompat.sim.faults import apply, names_in
from serfcompat.sim.host import Template
from serfcompat.sim.latency import latency_of
from serfcompat.sim.network import Conditions
from serfcompat.sim.observer import Observer
from serfcompat.sim.units import SECOND, duration_ns, duration_text, share
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.dice import Dice

_POLL_NS = SECOND // 20
"How often an expectation is looked at that is to come true."
_SHARES = ("loss", "duplicate", "reorder")
_STARTS: tuple[Start, ...] = ("converged", "joining", "apart")


T = TypeVar("T", Config, MemberlistConfig)


class Line(NamedTuple):
    """One fault."""

    at_ns: int
    words: tuple[str, ...]
    for_ns: int = 0
    "When it ends by itself, counted from its begin; 0: it doesn't."

    def __str__(self) -> str:
        lasting = f" for {duration_text(self.for_ns)}" if self.for_ns else ""
        return f"at {duration_text(self.at_ns)} {' '.join(self.words)}{lasting}"


class Expectation(NamedTuple):
    """Something that must be so."""

    at_ns: int
    by: bool
    "It may come true any time until `at_ns`."
    words: tuple[str, ...]
    after_ns: int = 0
    "With `by`: what was so before doesn't count."

    def __str__(self) -> str:
        after = f"after {duration_text(self.after_ns)} " if self.after_ns else ""
        return f"expect {after}{'by' if self.by else 'at'} {duration_text(self.at_ns)} {' '.join(self.words)}"


class Unexpected(AssertionError):
    """An expectation did not come true."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A whole scenario. `str()` gives text that reads back the same."""

    seed: str = "0"
    nodes: int = 5
    level: str = "serf"
    profile: str = "lan"
    start: Start = "converged"
    snapshots: bool = False
    conditions: Conditions = field(default_factory=Conditions)
    settings: tuple[tuple[str, str], ...] = ()
    "(field, value) of `set` lines."
    lines: tuple[Line, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    run_ns: int = 0
    "How long it goes on at least."
    settle: bool = False
    "Whether all views must agree in the end, within the bound that `bounds.convergence_ns` computes."

    @property
    def end_ns(self) -> int:
        """When everything has happened."""
        return max(
            [self.run_ns, *(line.at_ns + line.for_ns for line in self.lines), *(e.at_ns for e in self.expectations)]
        )

    def replace(self, **changes: object) -> Scenario:
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def __str__(self) -> str:
        default = Conditions()
        text = [f"seed {self.seed}", f"nodes {self.nodes} {self.level}", f"profile {self.profile}"]
        text.append(f"start {self.start}")
        text += ["snapshots"] if self.snapshots else []
        for name in ("latency", *_SHARES, "size_limit"):
            if (value := getattr(self.conditions, name)) != getattr(default, name):
                text.append(f"{name.replace('_', '-')} {value}")
        text += [f"set {name} {value}" for name, value in self.settings]
        text += [f"run {duration_text(self.run_ns)}"] if self.run_ns else []
        # Those that count from the beginning stand above everything.
        text += [str(expectation) for expectation in self.expectations if expectation.by and not expectation.after_ns]
        text += [str(line) for line in sorted(self.lines, key=lambda line: line.at_ns)]
        text += [str(expectation) for expectation in self.expectations if not expectation.by or expectation.after_ns]
        text += ["settle"] if self.settle else []
        return "\n".join(text) + "\n"

    # -- running ------------------------------------------------------------------------------

    def template(self) -> Template:
        """The configuration of each node. Raises UsageError for a setting that doesn't exist or fit."""
        memberlist: MemberlistConfig = getattr(MemberlistConfig, self.profile)()
        serf = Config()
        own = {field.name for field in dataclasses.fields(Config)} if self.level == "serf" else set()
        for name, value in self.settings:
            if name in own:
                serf = _set(serf, name, value)
            else:
                memberlist = _set(memberlist, name, value)
        return serf.replace(memberlist=memberlist) if self.level == "serf" else memberlist

    def cluster(self, dice: Callable[[str], Dice], observers: list[Observer]) -> Cluster:
        """A cluster for this scenario, its faults on the agenda, at time 0."""
        cluster = Cluster(
            self.nodes,
            seed=self.seed,
            dice=dice,
            config=self.template(),
            conditions=self.conditions,
            start=self.start,
            snapshots=self.snapshots,
            observers=observers,
        )
        agenda = cluster.driver.agenda
        for line in self.lines:
            for name in names_in(line.words):
                cluster[name]  # a host that doesn't exist is told now, not in the middle
            agenda.at(line.at_ns, _begin, cluster, line)
        return cluster

    def play(self, dice: Callable[[str], Dice], observers: list[Observer] | None = None) -> Cluster:
        """Run it to its end. Raises Unexpected, and whatever an observer raises."""
        cluster = self.cluster(dice, observers or [])
        agenda = cluster.driver.agenda
        waiting = sorted(self.expectations, key=lambda expectation: expectation.at_ns)
        while waiting:
            agenda.run(min(waiting[0].at_ns, agenda.now_ns + _POLL_NS))
            waiting = [e for e in waiting if not (e.by and e.after_ns <= agenda.now_ns and holds(cluster, e.words))]
            while waiting and waiting[0].at_ns <= agenda.now_ns:
                expectation = waiting.pop(0)
                if not holds(cluster, expectation.words):
                    raise Unexpected(f"not so: {expectation} (seed {self.seed}); {situation(cluster, expectation)}")
        agenda.run(self.end_ns)
        return cluster


def _begin(cluster: Cluster, line: Line) -> None:
    undo = apply(cluster, line.words)
    if line.for_ns and undo is not None:
        cluster.driver.agenda.after(line.for_ns, undo)


# -- expectations ------------------------------------------------------------------------------


def holds(cluster: Cluster, words: tuple[str, ...]) -> bool:
    """Whether an expectation is so now. Raises UsageError if it can't be understood."""
    match words:
        case ("all", "agree"):
            return cluster.converged
        case ("everyone", "sees", name, state):
            return all(_is(cluster.sees(observer, name), state) for observer in cluster.running if observer != name)
        case (observer, "sees", name, state):
            return _is(cluster.sees(observer, name), state)
    raise UsageError(f"what is expected by '{' '.join(words)}'? Try: n1 sees n4 dead, or: all agree")


def situation(cluster: Cluster, expectation: Expectation) -> str:
    """What is so instead, shortly."""
    match expectation.words:
        case (_, "sees", name, _):
            seen = {observer: cluster.sees(observer, name) for observer in cluster.running}
            return ", ".join(f"{observer} sees {name} {state}" for observer, state in seen.items())
    running = set(cluster.running)
    odd = [
        f"{observer} sees {name} {state}"
        for observer in cluster.running
        for name, state in cluster.view(observer).items()
        if (state == "alive") != (name in running)
    ]
    unknown = [f"{o} doesn't know {n}" for o in cluster.running for n in sorted(running - cluster.view(o).keys())]
    return "; ".join((odd + unknown)[:12])


def _is(state: str, wanted: str) -> bool:
    if wanted == "gone":
        return state in ("dead", "failed", "left", "unknown")
    return state == wanted or {state, wanted} == {"dead", "failed"}


# -- reading -----------------------------------------------------------------------------------


@dataclass
class _Draft:
    fields: dict[str, object] = field(default_factory=dict)
    conditions: dict[str, object] = field(default_factory=dict)
    settings: list[tuple[str, str]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)

    def latest_ns(self, before_ns: int) -> int:
        """The last time before `before_ns` at which something that was read begins, ends, or must be so."""
        times = {time for line in self.lines for time in (line.at_ns, line.at_ns + line.for_ns)}
        times |= {expectation.at_ns for expectation in self.expectations if not expectation.by}
        return max((time for time in times if time <= before_ns), default=0)

    def expect_by(self, by_ns: int, words: list[str], after_ns: int) -> None:
        if by_ns < after_ns:
            raise UsageError(f"after {duration_text(after_ns)} it can't become true by {duration_text(by_ns)}")
        self.expectations.append(Expectation(by_ns, True, tuple(words), after_ns))


def read(text: str) -> Scenario:
    """A scenario from its text. Raises UsageError that names the line."""
    draft = _Draft()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            _read_line(draft, words)
        except (UsageError, ValueError) as error:
            raise UsageError(f"line {number}: {error}") from None
    return Scenario(
        conditions=Conditions(**draft.conditions),  # type: ignore[arg-type]
        settings=tuple(draft.settings),
        lines=tuple(draft.lines),
        expectations=tuple(draft.expectations),
        **draft.fields,  # type: ignore[arg-type]
    )


def _read_line(draft: _Draft, words: list[str]) -> None:
    match words:
        case ["seed", seed]:
            draft.fields["seed"] = seed
        case ["nodes", count]:
            draft.fields["nodes"] = _count(count)
        case ["nodes", count, ("serf" | "memberlist") as level]:
            draft.fields |= {"nodes": _count(count), "level": level}
        case ["profile", ("lan" | "wan" | "local") as profile]:
            draft.fields["profile"] = profile
        case ["start", start] if start in _STARTS:
            draft.fields["start"] = start
        case ["snapshots"]:
            draft.fields["snapshots"] = True
        case ["settle"]:
            draft.fields["settle"] = True
        case ["run", time]:
            draft.fields["run_ns"] = duration_ns(time)
        case ["latency", latency]:
            draft.conditions["latency"] = latency_of(latency)
        case [name, value] if name in _SHARES:
            draft.conditions[name] = share(value)
        case ["size-limit", size]:
            draft.conditions["size_limit"] = _count(size)
        case ["set", name, value]:
            draft.settings.append((name, value))
        case ["at", time, *rest, "for", lasting] if rest:
            draft.lines.append(Line(duration_ns(time), tuple(rest), duration_ns(lasting)))
        case ["at", time, *rest] if rest:
            draft.lines.append(Line(duration_ns(time), tuple(rest)))
        case ["expect", "at", time, *rest] if rest:
            draft.expectations.append(Expectation(duration_ns(time), False, tuple(rest)))
        case ["expect", "by", time, *rest] if rest:
            draft.expect_by(by_ns := duration_ns(time), rest, draft.latest_ns(by_ns))
        case ["expect", "after", since, "by", time, *rest] if rest:
            draft.expect_by(duration_ns(time), rest, duration_ns(since))
        case _:
            raise UsageError(f"'{' '.join(words)}' is no line of a scenario")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"'{text}' is not a number above 0")
    return int(text)


def _set(config: T, name: str, value: str) -> T:
    """A configuration with one field changed, read as the field's type wants it."""
    old = b"" if name == "secret_key" else getattr(config, name, None)
    new: object = None
    try:
        if isinstance(old, bool):
            new = {"true": True, "false": False}.get(value)
        elif isinstance(old, int):
            new = int(value)
        elif isinstance(old, float):
            new = duration_ns(value) / SECOND if value[-1].isalpha() else float(value)
        elif isinstance(old, bytes):
            new = value.encode()
        elif isinstance(old, str):
            new = value
    except ValueError:
        pass
    if new is None:
        raise UsageError(f"there is no setting '{name}', or it can't be '{value}'")
    return config.replace(**{name: new})
