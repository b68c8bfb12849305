"""What a program that gossips without Serf may take part in (spec memberlist §6.19)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from serfcompat.swim.events import NodeView
from serfcompat.swim.hooks import Hooks

_REFUSED = "the delegate failed"


class Delegate:
    """Override what you need; a method that you leave alone does what upstream does without that delegate.

    All methods run on the node's hub, one after the other, in the middle of its work: they
    must return at once and never block. An exception is logged. Then what you would have said
    is not said; but `notify_alive` and `notify_merge` are there to keep somebody out, so
    one of them that raises has refused.
    """

    # -- what you are asked -------------------------------------------------------------------

    def node_meta(self, limit: int) -> bytes:
        """What to advertise about this node, at most `limit` bytes (NodeMeta)."""
        return b""

    def get_broadcasts(self, overhead: int, limit: int) -> Sequence[bytes]:
        """User messages for the packet being built. Each costs its length plus `overhead`; `limit` bytes are left."""
        return ()

    def local_state(self, join: bool) -> bytes | None:
        """What to add to a push/pull (LocalState)."""
        return None

    def ack_payload(self) -> bytes | None:
        """What our acks carry (AckPayload)."""
        return None

    def notify_alive(self, node: NodeView) -> str | None:
        """A reason to ignore this alive claim, or None (NotifyAlive)."""
        return None

    def notify_merge(self, nodes: Sequence[NodeView]) -> str | None:
        """A reason to refuse a joining push/pull with these nodes, or None (NotifyMerge)."""
        return None

    # -- what you are told --------------------------------------------------------------------

    def notify_msg(self, payload: bytes) -> None:
        """A user message arrived (NotifyMsg)."""

    def merge_remote_state(self, state: bytes, join: bool) -> None:
        """The other side of a push/pull sent this (MergeRemoteState)."""

    def notify_join(self, node: NodeView) -> None:
        """A node became alive (NotifyJoin)."""

    def notify_leave(self, node: NodeView) -> None:
        """A node died or left; `node.state` says which (NotifyLeave)."""

    def notify_update(self, node: NodeView) -> None:
        """An alive node's metadata changed (NotifyUpdate)."""

    def notify_conflict(self, existing: NodeView, other: NodeView) -> None:
        """Two nodes claim one name (NotifyConflict)."""

    def notify_ping_complete(self, node: NodeView, rtt: float, payload: bytes | None) -> None:
        """A probe was answered after `rtt` seconds (NotifyPingComplete)."""


def hooks_of(delegate: Delegate, log: logging.Logger) -> Hooks:
    """Only what was overridden: an alive hook, for one, changes what the engine accepts (M-119)."""

    def hook(name: str, failed: Any = None) -> Callable[..., Any] | None:
        if getattr(type(delegate), name) is getattr(Delegate, name):
            return None
        method = getattr(delegate, name)

        def ask(*args: Any) -> Any:
            try:
                return method(*args)
            except Exception:  # the user's code: in the middle of a step, its fault must not stop the node
                log.exception("memberlist: the delegate's %s failed", name)
                return failed

        return ask

    broadcasts = hook("get_broadcasts")
    return Hooks(
        node_meta=hook("node_meta"),
        broadcasts=None if broadcasts is None else lambda overhead, limit: list(broadcasts(overhead, limit) or ()),
        local_state=hook("local_state"),
        ack_payload=hook("ack_payload"),
        alive=hook("notify_alive", _REFUSED),
        merge=hook("notify_merge", _REFUSED),
    )
