"""Configuration of the memberlist level: defaults, units and how to choose (spec memberlist §8).

Public values are seconds as `float`; the engine wants integer nanoseconds, because
upstream truncates integers. `Timing` is the one place where they are converted.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from serfcompat.errors import UsageError
from serfcompat.swim.allow import AllowList

PROTOCOL_MIN, PROTOCOL_MAX, PROTOCOL_DEFAULT = 1, 5, 2
META_MAX = 512
"Bytes of metadata a node may advertise (META_MAX)."
LABEL_MAX = 255
KEY_SIZES = (16, 24, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberlistConfig:
    """How one memberlist node behaves. Start from `lan()`, `wan()` or `local()`."""

    name: str = ""
    """Unique in the cluster; empty means the host's name (Name)."""
    bind_addr: str = "0.0.0.0"
    """Address to listen on, IPv4 or IPv6 (BindAddr). `0.0.0.0` advertises the host's first private address."""
    bind_port: int = 7946
    """UDP and TCP port; 0 lets the system choose one that is free for both (BindPort)."""
    advertise_addr: str = ""
    """Address that others shall use instead of the bound one, e.g. behind NAT (AdvertiseAddr)."""
    advertise_port: int = 7946
    """Only used together with `advertise_addr` (AdvertisePort)."""
    label: bytes = b""
    """Keeps clusters that share a network apart: at most 255 bytes, sent in clear (Label).

    All members must have the same one, and be memberlist 0.3.0 or newer.
    """
    skip_inbound_label_check: bool = False
    """Only for transports that strip the label themselves (SkipInboundLabelCheck)."""
    protocol_version: int = PROTOCOL_DEFAULT
    """memberlist protocol to speak, 1 to 5 (ProtocolVersion)."""
    delegate_protocol: tuple[int, int, int] = (0, 0, 0)
    """Lowest, highest and current version of the layer above (DelegateProtocolMin/Max/Version)."""
    tcp_timeout: float = 10.0
    """Seconds for a stream to connect, and for each exchange on it (TCPTimeout). LAN 10, WAN 30, local 1."""
    indirect_checks: int = 3
    """How many nodes are asked to ping for us after a failed direct ping (IndirectChecks). Local 1."""
    retransmit_mult: int = 4
    """A broadcast is sent `retransmit_mult * ceil(log10(n + 1))` times (RetransmitMult). Local 2."""
    suspicion_mult: int = 4
    """Longer: fewer false failures, slower detection (SuspicionMult). WAN 6, local 3."""
    suspicion_max_timeout_mult: int = 6
    """Upper bound of a suspicion nobody confirms, in units of the lower bound (SuspicionMaxTimeoutMult)."""
    push_pull_interval: float = 30.0
    """Seconds between full state exchanges with one random node; 0 disables (PushPullInterval). WAN 60, local 15."""
    probe_interval: float = 1.0
    """Seconds between probes of one node each; 0 disables (ProbeInterval). WAN 5."""
    probe_timeout: float = 0.5
    """Seconds to wait for a direct ack before asking other nodes to ping (ProbeTimeout).

    Pick the 99th percentile of the network's round trip. Keep it below `probe_interval`,
    or indirect probes get no time to answer. LAN 0.5, WAN 3.0, local 0.2.
    """
    disable_tcp_pings: bool = False
    """Never fall back to a ping over TCP (DisableTcpPings)."""
    awareness_max_mult: int = 8
    """Bound of the Lifeguard health score: a probe interval stretches at most by this (AwarenessMaxMultiplier)."""
    gossip_interval: float = 0.2
    """Seconds between gossip ticks; 0 disables (GossipInterval). WAN 0.5, local 0.1."""
    gossip_nodes: int = 3
    """Targets per gossip tick; 0 disables (GossipNodes). WAN 4."""
    gossip_to_the_dead_time: float = 30.0
    """Seconds that a dead node is still gossiped to, then reaped (GossipToTheDeadTime). WAN 60, local 15."""
    gossip_verify_incoming: bool = True
    """With keys: refuse what is not encrypted (GossipVerifyIncoming). False only while migrating."""
    gossip_verify_outgoing: bool = True
    """With keys: encrypt what we send (GossipVerifyOutgoing). False only while migrating."""
    enable_compression: bool = True
    """LZW-compress what we send (EnableCompression). Compressed input is always understood."""
    secret_key: bytes | None = dataclasses.field(default=None, repr=False)
    """Primary key, 16, 24 or 32 bytes: AES-128, -192 or -256 (SecretKey). None: no encryption."""
    keyring: Sequence[bytes] = dataclasses.field(default=(), repr=False)
    """Keys to decrypt with, primary first (Keyring). `secret_key`, if given, is added and made primary."""
    handoff_queue_depth: int = 1024
    """Claims and user messages held per priority before new ones are dropped and counted (HandoffQueueDepth)."""
    udp_buffer_size: int = 1400
    """Aim for the size of a datagram (UDPBufferSize). Larger ones are received all the same."""
    dead_node_reclaim_time: float = 0.0
    """Seconds after which a dead node's name may come back from another address; 0 never (DeadNodeReclaimTime)."""
    lost_node_retry_time: float = 24 * 3600.0
    """Seconds that the address of a dead, forgotten node is tried now and then, so that a cluster torn apart for
    longer than `gossip_to_the_dead_time` grows together again; 0 never. Ours alone. Serf has its own, and sets 0."""
    require_node_names: bool = False
    """Refuse to send to an address whose node name isn't known (RequireNodeNames)."""
    cidrs_allowed: Sequence[str] = ()
    """Networks whose addresses may be members, e.g. `10.0.0.0/8`; empty allows all (CIDRsAllowed)."""
    queue_check_interval: float = 30.0
    """Seconds between samples of the broadcast queue's length; 0 disables (QueueCheckInterval)."""
    dns_config_path: str = "/etc/resolv.conf"
    """Where the first name server for TCP look-ups is read (DNSConfigPath)."""
    logger: logging.Logger | None = dataclasses.field(default=None, repr=False)
    """Where this node logs; None: `serfcompat.memberlist` (Logger)."""

    @classmethod
    def lan(cls, **changes: Any) -> Self:
        """Defaults for one network with round trips below some milliseconds."""
        return cls(**changes)

    @classmethod
    def wan(cls, **changes: Any) -> Self:
        """Slower and more patient, for members far apart."""
        return cls(**(_WAN | changes))

    @classmethod
    def local(cls, **changes: Any) -> Self:
        """Fast, for members on one machine and for tests."""
        return cls(**(_LOCAL | changes))

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def problems(self) -> list[str]:
        """Everything that is wrong with this configuration, in words that say what to do; empty if nothing is."""
        found = []
        if not PROTOCOL_MIN <= self.protocol_version <= PROTOCOL_MAX:
            found.append(f"protocol_version {self.protocol_version} is not in range: [{PROTOCOL_MIN}, {PROTOCOL_MAX}]")
        if len(self.label) > LABEL_MAX:
            found.append(f"label is {len(self.label)} bytes long; at most {LABEL_MAX} fit in a label header")
        keys = [*self.keyring] if self.secret_key is None else [self.secret_key, *self.keyring]
        found += [
            f"key size must be 16, 24 or 32 bytes; one of {len(key)} bytes was given"
            for key in keys
            if len(key) not in KEY_SIZES
        ]
        if not all(0 <= version <= 255 for version in self.delegate_protocol):
            found.append(f"delegate_protocol {self.delegate_protocol}: each version must be 0 to 255")
        try:
            AllowList(self.cidrs_allowed)
        except UsageError as error:
            found.append(f"cidrs_allowed: {error}")
        for field in _COUNTS:
            if getattr(self, field) < 0:
                found.append(f"{field} must not be negative")
        for field in ("bind_port", "advertise_port"):
            if not 0 <= getattr(self, field) <= 65535:
                found.append(f"{field} {getattr(self, field)} is not a port: use 0 to 65535")
        for field in ("probe_interval", "gossip_interval", "push_pull_interval", "queue_check_interval"):
            if not 0 <= getattr(self, field) < math.inf:
                found.append(f"{field} must be a number of seconds; 0 disables it")
        for field in ("tcp_timeout", "probe_timeout"):
            if not 0 < getattr(self, field) < math.inf:
                found.append(f"{field} must be a positive number of seconds")
        for field in ("gossip_to_the_dead_time", "dead_node_reclaim_time", "lost_node_retry_time"):
            if not 0 <= getattr(self, field) < math.inf:
                found.append(f"{field} must be a number of seconds, not negative")
        if self.probe_interval > 0 and self.probe_timeout > self.probe_interval:
            found.append("probe_timeout must not exceed probe_interval, or indirect probes get no time to answer")
        if self.udp_buffer_size < 128 + len(self.label):
            found.append(f"udp_buffer_size {self.udp_buffer_size} leaves no room for messages: use at least 512")
        return found

    def check(self) -> None:
        """Raise `UsageError` that names every problem at once."""
        if found := self.problems():
            raise UsageError("; ".join(found))


_COUNTS = (
    "indirect_checks",
    "retransmit_mult",
    "suspicion_mult",
    "suspicion_max_timeout_mult",
    "awareness_max_mult",
    "gossip_nodes",
    "handoff_queue_depth",
)
_WAN: dict[str, Any] = {
    "tcp_timeout": 30.0,
    "suspicion_mult": 6,
    "push_pull_interval": 60.0,
    "probe_timeout": 3.0,
    "probe_interval": 5.0,
    "gossip_nodes": 4,
    "gossip_interval": 0.5,
    "gossip_to_the_dead_time": 60.0,
}
_LOCAL: dict[str, Any] = {
    "tcp_timeout": 1.0,
    "indirect_checks": 1,
    "retransmit_mult": 2,
    "suspicion_mult": 3,
    "push_pull_interval": 15.0,
    "probe_timeout": 0.2,
    "probe_interval": 1.0,
    "gossip_interval": 0.1,
    "gossip_to_the_dead_time": 15.0,
}


def seconds_to_ns(seconds: float) -> int:
    """Public seconds to the engine's integer nanoseconds."""
    return round(seconds * 1_000_000_000)


class Timing(NamedTuple):
    """The configuration's durations in nanoseconds, as the engine uses them."""

    tcp_timeout_ns: int
    push_pull_interval_ns: int
    lost_node_retry_time_ns: int
    probe_interval_ns: int
    probe_timeout_ns: int
    gossip_interval_ns: int
    gossip_to_the_dead_time_ns: int
    dead_node_reclaim_time_ns: int
    queue_check_interval_ns: int

    @classmethod
    def of(cls, config: MemberlistConfig) -> Self:
        return cls(*(seconds_to_ns(getattr(config, field.removesuffix("_ns"))) for field in cls._fields))
