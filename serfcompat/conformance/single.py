"""A node that runs somewhere: the subject of `--memberlist HOST:PORT`."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Sequence

from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Broken, Case, Level, Need
from serfcompat.conformance.node import Node
from serfcompat.conformance.trace import Trace
from serfcompat.errors import WireError
from serfcompat.testing.node import AgentError
from serfcompat.wire.serf_messages import SerfPushPull
from serfcompat.wire.types import SerfMessageType

PATIENCE = 10.0
"Seconds to wait for a connection."

_WHY = {
    Need.KEY: "the node has no key; start it with one, and name it with --key",
    Need.NO_KEY: "the node has a key",
    Need.LABEL: "the node has no label; start it with one, and name it with --label",
    Need.NO_LABEL: "the node has a label",
    Need.SERF: "the node isn't a Serf agent",
}


class NodeStage:
    """One attempt's ends of the wire."""

    def __init__(self, node: Node) -> None:
        self.trace = Trace()
        self.bench = Bench(node, self.trace)
        self._node = node
        self._logged = len(node.log())

    def log(self) -> Sequence[str]:
        return self._node.log()[self._logged :]

    def abort(self) -> None:
        """Nothing to do: whatever waits for packets or streams gives up by itself."""

    def close(self) -> None:
        self.bench.close()


class SingleNode:
    """Everything is tried on one node, which the kit can't start or stop."""

    shared = True

    def __init__(self, node: Node) -> None:
        self.node = dataclasses.replace(node, facts=node.facts | {Need.SERF}) if _is_serf(node) else node

    @property
    def title(self) -> str:
        return f"the node at {self.node.address}"

    def not_applicable(self, case: Case) -> str:
        if case.level is not Level.MEMBERLIST:
            return "it takes agents that the kit starts (--impl)"
        if case.spoils:
            return "the node would be of no use to other cases afterwards; it takes agents that the kit starts (--impl)"
        return why_not(case, self.node)

    def stage(self, case: Case) -> tuple[NodeStage, Bench]:
        """AgentError: nobody listens there (any more)."""
        try:
            socket.create_connection((self.node.host, self.node.port), PATIENCE).close()
        except OSError as error:
            raise AgentError(f"nobody answers at {self.node.address}: {error}") from error
        stage = NodeStage(self.node)
        return stage, stage.bench


def _is_serf(node: Node) -> bool:
    """Whether the node answers, and adds Serf's state to its own."""
    stage = NodeStage(node)
    try:
        state = stage.bench.state().user_state or b""
        SerfPushPull.decode(state[1:])
    except (Broken, WireError):
        return False
    finally:
        stage.close()
    return state[0] == SerfMessageType.PUSH_PULL


def why_not(case: Case, node: Node) -> str:
    """Which fact about a node a case lacks; empty if none."""
    return next((_WHY[need] for need in Need if need in case.needs and need not in node.facts), "")
