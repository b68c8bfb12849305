"""Configuration of the Serf level (spec serf §11.1).

As upstream, zero values mean zero, never "default" (trap 11). The one exception: an
interval of 0 switches its loop off, where upstream would spin.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from serfcompat.errors import UsageError
from serfcompat.serf.member import Member
from serfcompat.serf.node_names import name_problem
from serfcompat.serf.tags import TOO_LONG, encoded
from serfcompat.serf.text import raw
from serfcompat.swim.config import META_MAX, MemberlistConfig

PROTOCOL_MIN, PROTOCOL_MAX, PROTOCOL_DEFAULT = 2, 5, 4
USER_EVENT_SIZE_CAP = 9216
"Upstream's `UserEventSizeLimit`: no configuration may exceed it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How one Serf node behaves. Start from `lan()`, `wan()` or `local()`."""

    node_name: str = ""
    """Unique in the cluster; empty means the host's name (NodeName)."""
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What this node tells about itself; at most 512 bytes encoded (Tags)."""
    protocol_version: int = PROTOCOL_DEFAULT
    """Serf protocol to speak, 2 to 5 (ProtocolVersion). The agent uses 5."""
    memberlist: MemberlistConfig = dataclasses.field(default_factory=MemberlistConfig.lan)
    """The level below: addresses, timing, encryption (MemberlistConfig)."""
    broadcast_timeout: float = 5.0
    """Seconds that leave, force-leave and tag updates wait for their broadcast (BroadcastTimeout)."""
    leave_propagate_delay: float = 1.0
    """Seconds to stay reachable at the end of a leave (LeavePropagateDelay)."""
    coalesce_period: float = 0.0
    quiescent_period: float = 0.0
    """Seconds to gather member events, and of quiet that ends it; 0 off (CoalescePeriod, QuiescentPeriod)."""
    user_coalesce_period: float = 0.0
    user_quiescent_period: float = 0.0
    """The same for user events that allow it (UserCoalescePeriod, UserQuiescentPeriod)."""
    reap_interval: float = 15.0
    """Seconds between looks for members to forget; 0 disables (ReapInterval)."""
    reconnect_interval: float = 30.0
    """Seconds between attempts to reach a failed member; 0 disables (ReconnectInterval)."""
    reconnect_timeout: float = 24 * 3600.0
    """Seconds that a failed member is remembered (ReconnectTimeout)."""
    former_member_time: float = 365 * 24 * 3600.0
    """Seconds that its address is kept after that, and asked to join now and then; 0: not at all, as upstream.
    So a cluster torn apart finds itself again, however long it took."""
    rejoin_interval: float = 30.0
    """Seconds between attempts to find anybody, if nobody else is alive; 0 disables (not in Go)."""
    tombstone_timeout: float = 24 * 3600.0
    """Seconds that a left member is remembered (TombstoneTimeout)."""
    flap_timeout: float = 60.0
    """A member that fails and returns within this many seconds counts as flapping (FlapTimeout)."""
    recent_intent_timeout: float = 300.0
    """Seconds to keep join and leave intents for members not known yet (RecentIntentTimeout)."""
    queue_check_interval: float = 30.0
    """Seconds between looks at the queues' depth; 0 disables (QueueCheckInterval)."""
    queue_depth_warning: int = 128
    max_queue_depth: int = 4096
    min_queue_depth: int = 0
    """Depth that warns; depth that drops; or, if above 0, the least of `2 * members` to allow instead."""
    event_buffer: int = 512
    query_buffer: int = 512
    """Lamport times remembered to recognise duplicates, at least 1 (EventBuffer, QueryBuffer)."""
    query_timeout_mult: int = 16
    """Default query time: gossip interval × this × ceil(log10(n + 1)) (QueryTimeoutMult)."""
    query_response_size_limit: int = 1024
    query_size_limit: int = 1024
    user_event_size_limit: int = 512
    """Bytes, encoded. User events may be configured up to 9216."""
    snapshot_path: str = ""
    """File to remember members and clocks in; empty: none (SnapshotPath)."""
    rejoin_after_leave: bool = False
    """Rejoin from the snapshot even after a graceful leave (RejoinAfterLeave)."""
    enable_name_conflict_resolution: bool = True
    """Vote on our name if another node claims it, and quit if we lose (EnableNameConflictResolution)."""
    disable_coordinates: bool = False
    """Send and keep no network coordinates (DisableCoordinates)."""
    keyring_file: str = ""
    """File that key changes are written to (KeyringFile)."""
    merge: Callable[[list[Member]], str | None] | None = None
    """Reason to refuse these members, or None; called for joins and for each alive claim (Merge).

    It runs inside the node's work: it must not block. One that raises is logged and counts as a refusal."""
    reconnect_timeout_override: Callable[[Member, float], float] | None = None
    """Seconds to remember this failed or left member, given the default (ReconnectTimeoutOverride).

    It must not block. If it raises, that is logged and the default holds."""
    validate_node_names: bool = False
    """Only letters, digits, dash and dot, at most 128 (ValidateNodeNames)."""
    logger: logging.Logger | None = dataclasses.field(default=None, repr=False)
    """Where this node logs; None: `serfcompat.serf` (Logger)."""

    @classmethod
    def lan(cls, **changes: Any) -> Self:
        """Defaults for one network. Fields of `MemberlistConfig` may be given directly as well."""
        return cls._profile(MemberlistConfig.lan, changes)

    @classmethod
    def wan(cls, **changes: Any) -> Self:
        """Slower and more patient, for members far apart."""
        return cls._profile(MemberlistConfig.wan, changes)

    @classmethod
    def local(cls, **changes: Any) -> Self:
        """Fast, for members on one machine and for tests."""
        return cls._profile(MemberlistConfig.local, changes)

    @classmethod
    def _profile(cls, profile: Callable[..., MemberlistConfig], changes: dict[str, Any]) -> Self:
        own = {field.name for field in dataclasses.fields(cls)}
        below = {name: value for name, value in changes.items() if name not in own}
        mine = {name: value for name, value in changes.items() if name in own}
        if "memberlist" in mine and below:
            raise UsageError(f"give {', '.join(sorted(below))} inside `memberlist`, not beside it")
        return cls(**({"memberlist": profile(**below)} | mine))

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    @property
    def delegate_protocol(self) -> tuple[int, int, int]:
        """Serf's versions as memberlist advertises them: lowest, highest, current."""
        return (PROTOCOL_MIN, PROTOCOL_MAX, self.protocol_version)

    def problems(self) -> list[str]:
        """Everything that is wrong with this configuration, in upstream's words and order (spec serf §11.2)."""
        found = []
        version, allowed = self.protocol_version, f"Must be in range: [{PROTOCOL_MIN}, {PROTOCOL_MAX}]"
        if version < PROTOCOL_MIN:
            found.append(f"Protocol version '{version}' too low. {allowed}")
        elif version > PROTOCOL_MAX:
            found.append(f"Protocol version '{version}' too high. {allowed}")
        if self.user_event_size_limit > USER_EVENT_SIZE_CAP:
            found.append(f"user event size limit exceeds limit of {USER_EVENT_SIZE_CAP} bytes")
        if len(encoded(self.tags, version)) > META_MAX:
            found.append(TOO_LONG)
        if self.validate_node_names and (problem := name_problem(raw(self.node_name))):
            found.append(problem)
        for buffer in ("event_buffer", "query_buffer"):
            if getattr(self, buffer) < 1:  # upstream divides by it (defect D-7)
                found.append(f"{buffer} must be at least 1")
        for interval in ("reap_interval", "reconnect_interval", "rejoin_interval", "queue_check_interval"):
            if getattr(self, interval) < 0:
                found.append(f"{interval} must not be negative; 0 disables it")
        if self.former_member_time < 0:
            found.append("former_member_time must not be negative; 0 forgets at once")
        return found + self.memberlist.problems()

    def check(self) -> None:
        """Raise `UsageError` that names every problem at once."""
        if found := self.problems():
            raise UsageError("; ".join(found))
