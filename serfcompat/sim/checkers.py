"""Laws that hold at every step of every simulation, whatever goes wrong, at the SWIM level (see `watch`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from serfcompat.serf.text import shown
from serfcompat.sim.bounds import calm_down_ns, longest_suspicion_ns, shortest_suspicion_ns
from serfcompat.sim.host import RECEIVE_BUFFER, Host
from serfcompat.sim.units import clock_text
from serfcompat.sim.watch import Broken, Change, Law
from serfcompat.swim.effects import SendPacket, SetTimer
from serfcompat.swim.events import NodeState
from serfcompat.swim.queue import retransmit_limit
from serfcompat.wire.messages import Dead, Suspect
from serfcompat.wire.packet import peel
from serfcompat.wire.types import MessageType

GONE = (NodeState.DEAD, NodeState.LEFT)
_OWN_WORD = ("timer", "tcp-ping", "send-failed", "merge", "call", "start")
"Causes of steps in which a node judges by itself; in a `packet` it hears others."


class IncarnationsNeverGoBack(Law):
    """As long as a node knows another, under one address, only newer incarnations replace older ones."""

    def on_change(self, change: Change) -> None:
        before, after = change.before, change.after
        if before is None or after is None or after.incarnation >= before.incarnation:
            return
        if after.address == before.address:  # another address: the name was reclaimed, and counts anew
            raise change.broken("incarnations never go back", "an older incarnation replaces a newer one")


class OnlyNewsRevives(Law):
    """Suspect, dead or left: only a higher incarnation, or a new owner of the name, makes a node alive again."""

    def on_change(self, change: Change) -> None:
        before, after = change.before, change.after
        if before is None or after is None or before.state is NodeState.ALIVE:
            return
        better = after.state < before.state
        if better and after.incarnation <= before.incarnation and after.address == before.address:
            raise change.broken("only news revives", "nothing newer was said")


class DeathHasACause(Law):
    """Nobody is dead or left at an incarnation at which no node's timer ran out, and that did not leave itself."""

    def __init__(self) -> None:
        self._declared: set[tuple[bytes, int]] = set()

    def on_change(self, change: Change) -> None:
        after = change.after
        if after is None or after.state not in GONE or (change.before and change.before.state in GONE):
            return
        if change.before is None and after.incarnation == 0:
            return  # an entry that was made for a claim which was then not believed: it says nothing yet
        key = (change.name, after.incarnation)
        if (change.cause == "timer" and change.detail[0] == "suspicion") or change.name == change.host.raw:
            self._declared.add(key)
        elif key not in self._declared:
            raise change.broken(
                "death has a cause", "no suspicion of this incarnation ran out anywhere, and it didn't leave"
            )


class SuspicionLastsLongEnough(Law):
    """A timer declares a node dead only after Lifeguard's time for as many accusers as there really are."""

    def __init__(self) -> None:
        self._accusers: dict[tuple[bytes, int], set[str]] = defaultdict(set)
        self._since: dict[tuple[str, int, bytes], tuple[int, int]] = {}
        "(host, life, name) → (since when on its clock, nodes known then)."

    def on_change(self, change: Change) -> None:
        host, after = change.host, change.after
        key = (host.name, host.life, change.name)
        if after is not None and after.state is NodeState.SUSPECT:
            accusers = self._accusers[change.name, after.incarnation]
            if change.cause in _OWN_WORD:
                accusers.add(host.name)
            elif not accusers:
                raise change.broken("suspicion lasts long enough", "nobody ever suspected this incarnation")
            if change.before is None or change.before.state is not NodeState.SUSPECT:
                # A merge may bring the suspicion first and more nodes after it, all in one step.
                nodes = min(len(host.swim.table.ring), self.watch.known_before)
                self._since[key] = host.clock.read(change.now_ns), nodes
            return
        since = self._since.pop(key, None)
        if since is None or after is None or after.state is not NodeState.DEAD or change.cause != "timer":
            return
        began_ns, nodes = since
        lasted_ns = host.clock.read(change.now_ns) - began_ns
        accusers = self._accusers[change.name, after.incarnation]
        needed_ns = shortest_suspicion_ns(host.swim.config, nodes, len(accusers))
        if lasted_ns < needed_ns:
            raise change.broken(
                "suspicion lasts long enough",
                f"suspected for {clock_text(lasted_ns)} s only; with the accusers {sorted(accusers)} "
                f"it takes {clock_text(needed_ns)} s",
            )

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        if cause in _OWN_WORD:
            for effect in effects:
                if type(effect) is SetTimer and effect.key[0] == "suspicion":
                    name = effect.key[1]
                    node = host.swim.table.nodes.get(name)  # type: ignore[call-overload]
                    if node is not None:
                        self._accusers[node.name, node.incarnation].add(host.name)


class WhoAnswersIsNotSuspected(Law):
    """Once the cluster was calm for Lifeguard's bound, no node that answers is suspected or declared dead."""

    def on_change(self, change: Change) -> None:
        after, subject = change.after, self.watch.truth(change.name)
        if after is None or after.state is NodeState.ALIVE or subject is None or not subject.answers:
            return
        if change.before is not None and change.before.state >= after.state:
            return
        if after.state is NodeState.LEFT or (change.before is None and after.incarnation == 0):
            return
        driver = self.watch.driver
        if any(host.lag_ns or host.held is not None or host.stalled is not None for host in driver.hosts.values()):
            return
        if driver.network.impairments or driver.network.conditions.loss or subject.address != after.address:
            return
        bound_ns = calm_down_ns(change.host.swim.config, len(driver.hosts))
        if change.now_ns - self.watch.last_fault_ns > bound_ns:
            raise change.broken(
                "who answers is not suspected",
                f"it answers, and the last fault was {clock_text(change.now_ns - self.watch.last_fault_ns)} s ago",
            )


class SuspicionsEnd(Law):
    """No suspicion outlasts the longest timer."""

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        suspicions = host.swim.table.suspicions
        if not suspicions or cause != "timer" or detail[0] != "gossip":
            return
        config, own_ns = host.swim.config, host.clock.read(now_ns)
        limit_ns = longest_suspicion_ns(config, len(self.watch.driver.hosts)) + host.lag_ns
        for name, suspicion in suspicions.items():
            if ("suspicion", name) not in host.timers and own_ns - suspicion.started_ns > limit_ns:
                raise Broken(
                    "suspicions end", now_ns, f"{host.name} suspects {shown(name)} for ever: no timer is set for it"
                )


class NobodyDoubtsItself(Law):
    """A node that has not left sees itself alive, at the incarnation it counts."""

    def on_change(self, change: Change) -> None:
        host = change.host
        if change.name != host.raw or host.swim.table.leaving:
            return
        if change.after is None or change.after.state is not NodeState.ALIVE:
            raise change.broken("nobody doubts itself", "it knows better")


class AccusationsAreAnswered(Law):
    """A node that hears itself accused at its incarnation, or a later one, at once claims a later one still."""

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        if cause != "packet" or host.leaving:
            return
        table = host.swim.table
        for message in peel(detail[1], host.swim.layers).messages:
            kind = message[0]
            if kind not in (MessageType.SUSPECT, MessageType.DEAD):
                continue
            claim = (Suspect if kind == MessageType.SUSPECT else Dead).decode(message[1:])
            if claim.node == host.raw and claim.incarnation >= table.nodes[host.raw].incarnation:
                raise Broken(
                    "accusations are answered", now_ns,
                    f"{host.name} is called {MessageType(kind).name.lower()}@{claim.incarnation} "
                    f"and stays at incarnation {table.nodes[host.raw].incarnation}",
                )  # fmt: skip


class QueuesAreBounded(Law):
    """Nothing that a node keeps grows without bound."""

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        hosts, table = len(self.watch.driver.hosts), host.swim.table
        # One claim per name, one refutation per own address; names never seen elsewhere can't be queued.
        sizes = (
            ("claims to gossip", len(table.broadcasts), hosts + 1),
            ("members known", len(table.ring), hosts),
            ("suspicions", len(table.suspicions), hosts),
            # tickers; one probe; suspicions; pings for others: at most one per prober, relay and half second.
            ("timers", len(host.timers), 24 + 8 * hosts),
            ("bytes held while paused", host.held_bytes, RECEIVE_BUFFER),
        )
        for what, size, limit in sizes:
            if size > limit:
                raise Broken("queues are bounded", now_ns, f"{host.name} has {size} {what}, more than {limit}")


class GossipEnds(Law):
    """Once a node hears nothing new, it soon has said everything as often as it will."""

    def __init__(self) -> None:
        self._rounds: dict[tuple[str, int], int] = {}
        "(host, life) → gossip ticks with something to say, since it last learnt something."

    def on_change(self, change: Change) -> None:
        self._rounds[change.host.name, change.host.life] = 0

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        key, table = (host.name, host.life), host.swim.table
        if cause != "timer" or detail[0] != "gossip":
            if any(type(effect) is SetTimer and effect.key[0] == "suspicion" for effect in effects):
                self._rounds[key] = 0  # another accuser: its claim is passed on
        elif len(table.broadcasts) and any(type(effect) is SendPacket for effect in effects):
            rounds = self._rounds[key] = self._rounds.get(key, 0) + 1
            # A claim goes out at least once a tick; if not all fit into a packet, the others have to wait.
            limit = 4 * retransmit_limit(host.swim.config.retransmit_mult, len(table.ring))
            if rounds > limit:
                raise Broken("gossip ends", now_ns, f"{host.name} has said the same for {rounds} gossip ticks")


class ViewsConverge(Law):
    """When the cluster was calm for long, every node sees exactly those alive that run, and nothing is left to say."""

    def at_end(self, now_ns: int) -> None:
        running = {host.raw: host for host in self.watch.driver.hosts.values() if host.running}
        for host in running.values():
            if host.swim.table.leaving:
                continue
            table = host.swim.table
            for name, other in running.items():
                node = table.nodes.get(name)
                if node is None:
                    raise Broken("views converge", now_ns, f"{host.name} doesn't know {other.name}, which runs")
                mine = other.swim.table.nodes.get(name)
                if node.state is not NodeState.ALIVE or (mine and node.incarnation != mine.incarnation):
                    raise Broken(
                        "views converge", now_ns,
                        f"{host.name} sees {other.name} {node.state.name.lower()}@{node.incarnation}, which runs "
                        f"at {mine.incarnation if mine else '?'}",
                    )  # fmt: skip
                if mine and (node.meta or b"") != (mine.meta or b""):
                    raise Broken("views converge", now_ns, f"{host.name} knows old metadata of {other.name}")
                if node.address != other.address:
                    raise Broken("views converge", now_ns, f"{host.name} knows {other.name} at {node.address}")
            for node in table.ring:
                if node.name not in running and node.state not in GONE:
                    raise Broken(
                        "views converge", now_ns,
                        f"{host.name} sees {shown(node.name)} {node.state.name.lower()}, which does not run",
                    )  # fmt: skip
            if len(table.broadcasts):
                raise Broken(
                    "views converge", now_ns, f"{host.name} still has {len(table.broadcasts)} claims to gossip"
                )


def swim_laws() -> list[Law]:
    """One of each, for one simulation."""
    return [
        NobodyDoubtsItself(),
        IncarnationsNeverGoBack(),
        OnlyNewsRevives(),
        DeathHasACause(),
        SuspicionLastsLongEnough(),
        WhoAnswersIsNotSuspected(),
        SuspicionsEnd(),
        AccusationsAreAnswered(),
        QueuesAreBounded(),
        GossipEnds(),
        ViewsConverge(),
    ]
