"""What SWIM asks the layer above: the answering half of upstream's delegates (spec memberlist §6.19).

Plain callables, called in the middle of a step: they must answer at once and never block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from serfcompat.swim.events import NodeView


@dataclass(slots=True)
class Hooks:
    """Each hook may be absent; what upstream does without that delegate is then done."""

    node_meta: Callable[[int], bytes] | None = None
    "(limit) → metadata to advertise (Delegate.NodeMeta)."
    broadcasts: Callable[[int, int], list[bytes]] | None = None
    "(overhead per message, bytes left) → user messages to piggyback (Delegate.GetBroadcasts)."
    pending: Callable[[], int] | None = None
    "Bytes that `broadcasts` has to say, 0 for nothing; without it, it is asked itself."
    local_state: Callable[[bool], bytes | None] | None = None
    "(join) → the user part of our push/pull (Delegate.LocalState)."
    ack_payload: Callable[[], bytes | None] | None = None
    "What our acks carry (Ping.AckPayload)."
    alive: Callable[[NodeView], str | None] | None = None
    "Reason to ignore an alive claim, or None (Alive.NotifyAlive)."
    merge: Callable[[list[NodeView]], str | None] | None = None
    "Reason to refuse a joining push/pull, or None (Merge.NotifyMerge)."
    disable_tcp_ping_for: Callable[[bytes], bool] | None = None
    "(node name) → whether to never ping it over TCP (DisableTcpPingsForNode)."
