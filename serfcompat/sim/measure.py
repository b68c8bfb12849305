"""What an operator wants to know of a simulated cluster: when failures are seen, which are false, and the traffic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serfcompat.serf.events import EventType, MemberEvent
from serfcompat.serf.text import text
from serfcompat.sim.cluster import Cluster
from serfcompat.sim.host import Host
from serfcompat.sim.observer import Observer
from serfcompat.swim.effects import SetTimer
from serfcompat.swim.events import NodeLeft, NodeState


class Death:
    """One killed node, and when the others noticed. World times in nanoseconds."""

    __slots__ = ("at_ns", "failed_ns", "name", "suspected_ns", "told")

    def __init__(self, name: str, at_ns: int) -> None:
        self.name = name
        self.at_ns = at_ns
        self.suspected_ns: dict[str, int] = {}
        "Observer → when it began to suspect."
        self.failed_ns: dict[str, int] = {}
        "Observer → when it took the node for failed."

    @property
    def first_suspicion_ns(self) -> int | None:
        """From the kill until somebody suspects."""
        return min(self.suspected_ns.values()) - self.at_ns if self.suspected_ns else None

    @property
    def first_detection_ns(self) -> int | None:
        """From the kill until somebody declares the node failed."""
        return min(self.failed_ns.values()) - self.at_ns if self.failed_ns else None

    def dissemination_ns(self, observers: int) -> int | None:
        """From the kill until the last of so many observers knows; None if some don't."""
        return max(self.failed_ns.values()) - self.at_ns if len(self.failed_ns) >= observers else None


class Sample:
    """Traffic of the whole cluster in one second."""

    __slots__ = ("packet_bytes", "packets", "stream_bytes", "streams")

    def __init__(self, packets: int, packet_bytes: int, streams: int, stream_bytes: int) -> None:
        self.packets = packets
        self.packet_bytes = packet_bytes
        self.streams = streams
        self.stream_bytes = stream_bytes

    def __sub__(self, other: Sample) -> Sample:
        return Sample(
            self.packets - other.packets,
            self.packet_bytes - other.packet_bytes,
            self.streams - other.streams,
            self.stream_bytes - other.stream_bytes,
        )


class Measurement(Observer):
    """Watches suspicions and failures, and samples traffic once per second."""

    def __init__(self) -> None:
        self.deaths: dict[str, Death] = {}
        "The nodes that were killed."
        self.false_failures: list[tuple[int, str, str]] = []
        "(when, observer, the node that it took for failed although it answers)"
        self.false_suspicions = 0
        "Suspicions of nodes that answer."
        self.samples: list[Sample] = []

    def follow(self, cluster: Cluster) -> None:
        """Begin to measure a cluster that watches with this."""
        cluster.driver.listeners.append(self._on_event)

    def killed(self, name: str) -> None:
        """A node is about to be killed on purpose."""
        self.deaths[name] = Death(name, self.driver.agenda.now_ns)

    def sample(self) -> None:
        """Take the traffic so far; to be called once per second."""
        traffic = [host.traffic for host in self.driver.hosts.values()]
        self.samples.append(
            Sample(
                sum(t.packets for t in traffic),
                sum(t.packet_bytes for t in traffic),
                sum(t.streams for t in traffic),
                sum(t.stream_bytes for t in traffic),
            )
        )

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        for effect in effects:
            if type(effect) is SetTimer and effect.key[0] == "suspicion":
                self._suspected(now_ns, host, text(effect.key[1]))  # type: ignore[arg-type]

    def _suspected(self, now_ns: int, host: Host, name: str) -> None:
        death = self.deaths.get(name)
        if death is not None:
            death.suspected_ns.setdefault(host.name, now_ns)
        elif (other := self.driver.hosts.get(name)) is not None and other.answers:
            self.false_suspicions += 1

    def _on_event(self, host: Host, event: Any, now_ns: int) -> None:
        names: list[str] = []
        if isinstance(event, MemberEvent) and event.type is EventType.MEMBER_FAILED:
            names = [member.name for member in event.members]
        elif isinstance(event, NodeLeft) and event.node.state is NodeState.DEAD:
            names = [text(event.node.name)]
        for name in names:
            if (death := self.deaths.get(name)) is not None:
                death.failed_ns.setdefault(host.name, now_ns)
            elif (other := self.driver.hosts.get(name)) is not None and other.answers:
                self.false_failures.append((now_ns, host.name, name))
