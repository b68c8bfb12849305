"""The application's veto over members, and the checks that come with it (spec serf §1.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from serfcompat.serf.config import Config
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.serf.members import member
from serfcompat.serf.node_names import name_problem
from serfcompat.serf.tags import TOO_LONG, decoded
from serfcompat.swim.config import META_MAX
from serfcompat.swim.events import NodeState, NodeView
from serfcompat.swim.hooks import Hooks

FAILED = "the merge callback failed"


def install(hooks: Hooks, config: Config, log: logging.Logger) -> None:
    """Ask the merge delegate about joins and about each alive claim; without one, nothing is checked (S-005).

    One that raises has not agreed: it is there to keep somebody out, so nobody comes in.
    """
    if (callback := config.merge) is not None:

        def veto(members: list[Member]) -> str | None:
            try:
                return callback(members)
            except Exception:  # the user's code, in the middle of a step: its fault must not stop the node
                log.exception("serf: the merge callback failed; these members are refused")
                return FAILED

        hooks.merge = lambda nodes: judge(nodes, config, veto)
        hooks.alive = lambda node: judge([node], config, veto)


def judge(nodes: list[NodeView], config: Config, veto: Callable[[list[Member]], str | None]) -> str | None:
    """Why these nodes may not be merged, or None."""
    for node in nodes:
        if problem := _problem(node, config):
            return problem
    return veto([_member(node) for node in nodes])


def _problem(node: NodeView, config: Config) -> str | None:
    if config.validate_node_names and (problem := name_problem(node.name)):
        return problem
    if len(node.addr) not in (4, 16):
        return f"IP byte length is invalid: {len(node.addr)} bytes is not either 4 or 16"
    if len(node.meta or b"") > META_MAX:
        return TOO_LONG
    return None


def _member(node: NodeView) -> Member:
    tags, _ = decoded(node.meta or b"")
    status = MemberStatus.LEFT if node.state is NodeState.LEFT else MemberStatus.NONE
    return member(node.name, node.address, tags, status, node.vsn)
