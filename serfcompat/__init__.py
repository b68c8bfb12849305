"""A full member of HashiCorp Serf and memberlist clusters, in plain, blocking Python.

    from serfcompat import Config, Serf

    with Serf(Config.lan(node_name="web1", tags={"role": "web"})) as serf:
        serf.join(["10.0.0.2"])
        for event in serf.events():
            print(event)

Names are loaded when they are first used: importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serfcompat.errors import (
        ConsulRefused,
        DeadlineExceeded,
        EventQueueFull,
        ForkedError,
        JoinError,
        MergeRefused,
        PayloadTooLarge,
        RPCError,
        SerfCompatError,
        StartError,
        StateError,
        UsageError,
        VisitError,
        WireError,
    )
    from serfcompat.runtime.delegate import Delegate
    from serfcompat.runtime.key_rotation import Rotation, RotationError
    from serfcompat.runtime.memberlist import Memberlist
    from serfcompat.runtime.query import NodeResponse, QueryResponses
    from serfcompat.runtime.serf import Serf
    from serfcompat.serf.config import Config
    from serfcompat.serf.events import Event, EventType, MemberEvent, QueryEvent, UserEvent
    from serfcompat.serf.key_responses import KeyResult
    from serfcompat.serf.member import Member, MemberStatus
    from serfcompat.serf.state import SerfState
    from serfcompat.serf.vivaldi import Coordinate
    from serfcompat.swim.config import MemberlistConfig
    from serfcompat.swim.events import NodeState, NodeView

__version__ = "0.1.0"

_HOMES = {
    "serfcompat.errors": (
        "ConsulRefused",
        "DeadlineExceeded",
        "EventQueueFull",
        "ForkedError",
        "JoinError",
        "MergeRefused",
        "PayloadTooLarge",
        "RPCError",
        "SerfCompatError",
        "StartError",
        "StateError",
        "UsageError",
        "VisitError",
        "WireError",
    ),
    "serfcompat.runtime.delegate": ("Delegate",),
    "serfcompat.runtime.key_rotation": ("Rotation", "RotationError"),
    "serfcompat.runtime.memberlist": ("Memberlist",),
    "serfcompat.runtime.query": ("NodeResponse", "QueryResponses"),
    "serfcompat.runtime.serf": ("Serf",),
    "serfcompat.serf.config": ("Config",),
    "serfcompat.serf.events": ("Event", "EventType", "MemberEvent", "QueryEvent", "UserEvent"),
    "serfcompat.serf.key_responses": ("KeyResult",),
    "serfcompat.serf.member": ("Member", "MemberStatus"),
    "serfcompat.serf.state": ("SerfState",),
    "serfcompat.serf.vivaldi": ("Coordinate",),
    "serfcompat.swim.config": ("MemberlistConfig",),
    "serfcompat.swim.events": ("NodeState", "NodeView"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Config",
    "ConsulRefused",
    "Coordinate",
    "DeadlineExceeded",
    "Delegate",
    "Event",
    "EventQueueFull",
    "EventType",
    "ForkedError",
    "JoinError",
    "KeyResult",
    "Member",
    "MemberEvent",
    "MemberStatus",
    "Memberlist",
    "MemberlistConfig",
    "MergeRefused",
    "NodeResponse",
    "NodeState",
    "NodeView",
    "PayloadTooLarge",
    "QueryEvent",
    "QueryResponses",
    "RPCError",
    "Rotation",
    "RotationError",
    "Serf",
    "SerfCompatError",
    "SerfState",
    "StartError",
    "StateError",
    "UsageError",
    "UserEvent",
    "VisitError",
    "WireError",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
