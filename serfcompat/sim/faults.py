"""What a scenario may do to a cluster: words to calls of `Cluster`, and how to take each back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from serfcompat.errors import UsageError
from serfcompat.sim.cluster import Cluster
from serfcompat.sim.impairments import Impairment
from serfcompat.sim.latency import latency_of
from serfcompat.sim.units import SECOND, duration_ns, share

Undo = Callable[[], None]

KINDS = (
    "partition", "block", "unplug", "loss", "host-loss", "duplicate", "reorder", "latency", "size-limit",
    "crash", "restart", "restart-moved", "pause", "stall", "slow", "clock", "leave",
)  # fmt: skip
"Kinds of faults, for the coverage of random plans."


def kind_of(words: Sequence[str]) -> str | None:
    """Which of `KINDS` a fault is; None for what applications do."""
    match words:
        case ("loss", _, _):
            return "host-loss"
        case ("restart", _, "moved", *_):
            return "restart-moved"
    return words[0] if words[0] in KINDS else None


def apply(cluster: Cluster, words: Sequence[str]) -> Undo | None:
    """Do it now; what undoes it, if that makes sense. Raises UsageError for words without a meaning."""
    undo: Undo | None = None
    match tuple(words):
        case ("crash", name):
            cluster.crash(name)
        case ("restart", name, *how):
            _restart(cluster, name, how)
        case ("leave", name):
            if not cluster[name].leaving:
                _if_running(cluster, name, lambda: cluster.leave(name))
        case ("pause", name):
            cluster.pause(name)
            undo = lambda: cluster.resume(name)  # noqa: E731
        case ("resume", name):
            cluster.resume(name)
        case ("stall", name):
            cluster.stall(name)
            undo = lambda: cluster.go_on(name)  # noqa: E731
        case ("go-on", name):
            cluster.go_on(name)
        case ("slow", name, "by", time):
            cluster.slow(name, duration_ns(time) / SECOND)
            undo = lambda: cluster.slow(name, 0.0)  # noqa: E731
        case ("clock", name, rate):
            cluster.clock(name, _rate(rate))
            undo = lambda: cluster.clock(name, 1.0)  # noqa: E731
        case ("partition", *names):
            undo = _mend(cluster, cluster.partition(*_sides(cluster, names)))
        case ("block", source, "->", target):
            undo = _mend(cluster, cluster.block(source, target))
        case ("unplug", name):
            undo = _mend(cluster, cluster.unplug(name))
        case ("heal", *names) if len(names) <= 1:
            cluster.heal(*names)
        case ("loss", value, name):
            undo = _mend(cluster, cluster.host_loss(name, share(value)))
        case (("loss" | "duplicate" | "reorder") as what, value):
            undo = _mend(cluster, cluster.change(what, share(value)))
        case ("latency", value):
            undo = _mend(cluster, cluster.change("latency", latency_of(value)))
        case ("size-limit", value):
            undo = _mend(cluster, cluster.change("size_limit", int(value)))
        case ("join", name, *targets) if targets:
            _if_running(cluster, name, lambda: cluster.join(name, *targets))
        case ("event", name, event, *payload) if len(payload) <= 1:
            data = payload[0].encode() if payload else None
            _if_running(cluster, name, lambda: cluster.user_event(name, event, data))
        case ("query", name, query):
            _if_running(cluster, name, lambda: cluster.query(name, query))
        case ("tags", name, *pairs) if all("=" in pair for pair in pairs):
            tags = dict(pair.split("=", 1) for pair in pairs)
            if not cluster[name].leaving:  # who goes may not describe itself anew
                _if_running(cluster, name, lambda: cluster.set_tags(name, tags))
        case ("force-leave", name, member, *prune) if prune in ([], ["prune"]):
            _if_running(cluster, name, lambda: cluster.force_leave(name, member, prune=bool(prune)))
        case _:
            raise UsageError(f"'{' '.join(words)}' is nothing that can be done to a cluster")
    return undo


def names_in(words: Sequence[str]) -> list[str]:
    """The hosts that a fault speaks of."""
    match tuple(words):
        case ("partition", *names):
            return [name for name in names if name != "|"]
        case ("block", source, "->", target):
            return [source, target]
        case ("restart", name, *_, "via", via):
            return [name, via]
        case ("join", *names):
            return list(names)
        case ("force-leave", name, member, *_):
            return [name, member]
        case ("loss", _, name):
            return [name]
        case (("loss" | "duplicate" | "reorder" | "latency" | "size-limit"), *_):
            return []
        case (_, name, *_):
            return [name]
    return []


def _if_running(cluster: Cluster, name: str, act: Callable[[], object]) -> None:
    """What an application does can't be done where none runs: a plan may have crashed it."""
    if cluster[name].running:
        act()


def _restart(cluster: Cluster, name: str, how: Sequence[str]) -> None:
    match tuple(how):
        case ():
            cluster.restart(name)
        case ("moved",):
            cluster.restart(name, moved=True)
        case ("via", via):
            cluster.restart(name, via=via)
        case ("moved", "via", via):
            cluster.restart(name, moved=True, via=via)
        case _:
            raise UsageError(f"restart {name} how? Try: moved, via n1")


def _sides(cluster: Cluster, names: Sequence[str]) -> list[list[str]]:
    sides: list[list[str]] = [[]]
    for name in names:
        if name == "|":
            sides.append([])
        else:
            sides[-1].append(cluster[name].name)
    return [side for side in sides if side]


def _mend(cluster: Cluster, impairment: Impairment) -> Undo:
    return lambda: cluster.mend(impairment)


def _rate(text: str) -> float:
    rate = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    if not 0.01 <= rate <= 100:
        raise UsageError(f"a clock can't run at {text}")
    return rate
