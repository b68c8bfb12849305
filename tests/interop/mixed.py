"""A cluster of Go agents in processes and our nodes in this one."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Self

from serfcompat import NodeState, StartError
from serfcompat.conformance.stranger import Stranger
from serfcompat.serf.member import Member
from serfcompat.testing.listener import Listener
from serfcompat.testing.processes import Agent, Cluster
from serfcompat.wire.layers import Layers
from tests.interop.bare import Bare
from tests.interop.cases import LIMIT, Case, key_flag
from tests.interop.ours import Ours


class Mixed:
    """Use it in a `with` block: it stops everything, and adds all logs to what goes wrong in the block."""

    def __init__(self, case: Case, *, key: bytes | None = None, profile: str = "local") -> None:
        """
        Args:
            key: Another one than the case's.
            profile: `local`: fast, but a broadcast is sent so few times that among more than three nodes one may
                miss it. `lan` otherwise.
        """
        self._go = case.go
        self.key = case.key if key is None else key
        self._profile = profile
        self._cluster = Cluster(flags=["-log-level=debug", f"-profile={profile}", *key_flag(self.key)])
        self._ours: list[Ours | Bare] = []
        self._listeners: list[Listener] = []
        self._stack = ExitStack()

    def go(self, name: str, *flags: str, host: str | None = None) -> Agent:
        """A started Go agent."""
        return self._cluster.start(self._go, name, *flags, host=host)

    def listen(self, agent: Agent, answers: Mapping[str, bytes | None] | None = None) -> Listener:
        """What a Go agent tells, to its end. ⚠ One that loses a stream while it has news for it may crash."""
        self._listeners.append(listener := Listener(agent.rpc, answers=answers))
        return listener

    def ours(
        self,
        name: str,
        *,
        host: str | None = None,
        answers: Mapping[str, bytes | None] | None = None,
        **config: Any,
    ) -> Ours:
        """A started node of ours."""
        host = host or self._cluster.free_host()
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                node = Ours(name, host, self._profile, answers or {}, {"secret_key": self.key} | config)
                break
            except StartError:
                # An agent that another test is starting holds a copy of our closed sockets until it has begun.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self._stack.callback(node.stop)
        self._ours.append(node)
        return node

    def stranger(self, **layers: Any) -> Stranger:
        """Somebody who isn't a member but knows the key."""
        keys = () if self.key is None else (self.key,)
        return self._stack.enter_context(Stranger(self._cluster.free_host(), Layers(**({"keys": keys} | layers))))

    def bare(self, name: str, **config: Any) -> Bare:
        """A started memberlist node of ours that has no Serf."""
        node = self._stack.enter_context(Bare(name, self._cluster.free_host(), secret_key=self.key, **config))
        self._ours.append(node)
        return node

    def logs(self) -> str:
        """Everything that everybody logged."""
        text = io.StringIO()
        self._cluster.print_logs(text)
        for node in self._ours:
            print(f"---- {node!r}", *node.log, sep="\n", file=text)
        return text.getvalue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception):
            error.add_note(self.logs())
        self._cluster.stop()
        for listener in self._listeners:
            listener.close()
        self._stack.close()


def await_members(wanted: Mapping[str, str], *nodes: Agent | Ours) -> None:
    """Wait until all of these nodes give the members named these statuses."""
    for node in nodes:
        node.wait_for_members(wanted, limit=LIMIT)


def join(*nodes: Agent | Ours) -> None:
    """Let each node but the first join the one before it, and wait until all know all."""
    for newcomer, known in zip(nodes[1:], nodes, strict=False):
        member = newcomer.client if isinstance(newcomer, Agent) else newcomer.serf
        assert member.join([known.gossip]) == 1
    await_members({node.name: "alive" for node in nodes}, *nodes)


def table(node: Agent | Ours) -> dict[str, dict[str, object]]:
    """A node's members as far as all nodes must agree on them."""
    return {name: view(member) for name, member in node.members().items()}


def view(member: Member) -> dict[str, object]:
    return {
        "address": f"{member.addr}:{member.port}",
        "tags": dict(member.tags),
        "status": str(member.status),
        "protocols": (member.protocol_min, member.protocol_max, member.protocol_cur),
        "delegates": (member.delegate_min, member.delegate_max, member.delegate_cur),
    }


def suspects(name: str) -> str:
    """What a node logs, Go's or ours, whose own probe of another got no answer."""
    return rf"Suspect {name} has failed|suspecting {name}:"


REFUTES = r"Refuting a suspect message|refuting a suspicion about us"
"What a node logs, Go's or ours, that heard that it is suspected."


def failures(*nodes: Agent | Ours) -> list[str]:
    """Lines in which a member is said to have failed."""
    return [line for node in nodes for line in node.log if "EventMemberFailed" in line]


def await_state(wanted: NodeState, name: str, at: Agent | Ours, observer: Stranger) -> None:
    """Wait until a node holds another one to be in this state, as it tells anybody that exchanges state with it."""
    at.wait_until(lambda: observer.state_of(name, at.gossip), lambda state: state == wanted, limit=LIMIT)
