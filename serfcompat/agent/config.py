"""The agent's settings, and how those of several sources become one set (spec agent §2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from enum import Enum
from typing import Any

from serfcompat.agent.durations import SECOND

DEFAULT_BIND_PORT = 7946
DEFAULT_RPC_ADDR = "127.0.0.1:7373"


class ConfigError(Exception):
    """The settings can't be used; the text is the line to print."""


class Kind(Enum):
    """What a key of a configuration file holds. It also says how two sources are merged."""

    STRING = "string"
    "The later one wins, unless it is empty."
    INT = "int"
    "The later one wins, unless it is 0."
    BOOL = "bool"
    "True if any says so: a later false can't undo it."
    STRINGS = "slice"
    "All of them, in order."
    TAGS = "map"
    "The later one wins, key by key."
    DURATION = "duration"
    "Nanoseconds inside, Go's text outside. The later one wins, unless it is 0."
    SECTION = "section"
    "An object with keys of its own."
    IGNORED = "ignored"
    "A boolean that is understood and has no effect, in any release."


def _is(kind: Kind, key: str = "") -> Mapping[str, Any]:
    """What a field says of itself; `key` is its name in files if it isn't the field's. A dot leads into a section."""
    return {"kind": kind, "key": key}


@dataclass(slots=True, kw_only=True)
class AgentConfig:
    """One source's settings, or the merged ones. Fields are the keys of configuration files.

    An unset field has its type's zero value; `DEFAULTS` is the first source.
    """

    node_name: str = field(default="", metadata=_is(Kind.STRING))
    "Unique in the cluster; the host's name if nobody says."
    role: str = field(default="", metadata=_is(Kind.STRING))
    "Deprecated: sets the tag `role`."
    tags: dict[str, str] = field(default_factory=dict, metadata=_is(Kind.TAGS))
    tags_file: str = field(default="", metadata=_is(Kind.STRING))
    "Where tags that are changed at run time survive. No other tags may be configured then."
    bind: str = field(default="", metadata=_is(Kind.STRING))
    "Where to listen for other members: address, optionally with a port."
    advertise: str = field(default="", metadata=_is(Kind.STRING))
    "What to tell other members instead."
    interface: str = field(default="", metadata=_is(Kind.STRING))
    "Whose address to bind to."
    encrypt_key: str = field(default="", repr=False, metadata=_is(Kind.STRING))
    "base64 of 16, 24 or 32 bytes."
    keyring_file: str = field(default="", metadata=_is(Kind.STRING))
    log_level: str = field(default="", metadata=_is(Kind.STRING))
    rpc_addr: str = field(default="", metadata=_is(Kind.STRING))
    "Where to listen for clients; a port is needed."
    rpc_auth: str = field(default="", repr=False, metadata=_is(Kind.STRING))
    "Token that clients must show. Only configuration files may have it."
    protocol: int = field(default=0, metadata=_is(Kind.INT))
    "Serf protocol to speak, 2 to 5; taken modulo 256 before that is checked."
    replay_on_join: bool = field(default=False, metadata=_is(Kind.BOOL))
    "Deliver user events from before joins that the agent makes by itself."
    query_response_size_limit: int = field(default=0, metadata=_is(Kind.INT))
    query_size_limit: int = field(default=0, metadata=_is(Kind.INT))
    user_event_size_limit: int = field(default=0, metadata=_is(Kind.INT))
    start_join: list[str] = field(default_factory=list, metadata=_is(Kind.STRINGS))
    "Join these before anything else; the agent ends if none answers."
    event_handlers: list[str] = field(default_factory=list, metadata=_is(Kind.STRINGS))
    profile: str = field(default="", metadata=_is(Kind.STRING))
    "lan, wan or local: timing."
    snapshot_path: str = field(default="", metadata=_is(Kind.STRING))
    leave_on_terminate: bool = field(default=False, metadata=_is(Kind.BOOL))
    "Leave gracefully on SIGTERM."
    skip_leave_on_interrupt: bool = field(default=False, metadata=_is(Kind.BOOL))
    "Don't leave gracefully on SIGINT."
    discover: str = field(default="", metadata=_is(Kind.STRING))
    "Name under which agents of one network find each other by mDNS."
    mdns_interface: str = field(default="", metadata=_is(Kind.STRING, "mdns.interface"))
    mdns_disable_ipv4: bool = field(default=False, metadata=_is(Kind.BOOL, "mdns.disable_ipv4"))
    mdns_disable_ipv6: bool = field(default=False, metadata=_is(Kind.BOOL, "mdns.disable_ipv6"))
    reconnect_interval: int = field(default=0, metadata=_is(Kind.DURATION))
    reconnect_timeout: int = field(default=0, metadata=_is(Kind.DURATION))
    tombstone_timeout: int = field(default=0, metadata=_is(Kind.DURATION))
    disable_name_resolution: bool = field(default=False, metadata=_is(Kind.BOOL))
    "Take no part in votes about names that two members claim."
    enable_syslog: bool = field(default=False, metadata=_is(Kind.BOOL))
    syslog_facility: str = field(default="", metadata=_is(Kind.STRING))
    retry_join: list[str] = field(default_factory=list, metadata=_is(Kind.STRINGS))
    "Join these in the background, until it works."
    retry_max_attempts: int = field(default=0, metadata=_is(Kind.INT))
    "After so many repetitions the agent ends; 0: never."
    retry_interval: int = field(default=0, metadata=_is(Kind.DURATION))
    rejoin_after_leave: bool = field(default=False, metadata=_is(Kind.BOOL))
    "Rejoin from the snapshot even after a graceful leave."
    statsite_addr: str = field(default="", metadata=_is(Kind.STRING))
    statsd_addr: str = field(default="", metadata=_is(Kind.STRING))
    broadcast_timeout: int = field(default=0, metadata=_is(Kind.DURATION))
    disable_coordinates: bool = field(default=False, metadata=_is(Kind.IGNORED))
    enable_compression: bool = field(default=False, metadata=_is(Kind.IGNORED))
    "⚠ Without effect: the flag -disable-compression, given or not, always has the last word."
    validate_node_names: bool = field(default=False, metadata=_is(Kind.IGNORED))
    msgpack_use_new_time_format: bool = field(default=False, metadata=_is(Kind.IGNORED, "MsgpackUseNewTimeFormat"))
    disable_compression: bool = False
    "Only a flag."


FIELDS: Mapping[str, Field[Any]] = {
    each.metadata["key"] or each.name: each for each in fields(AgentConfig) if each.metadata
}
"Key in a configuration file (`mdns.interface` is inside the object `mdns`) → field."

DEFAULTS = AgentConfig(
    bind="0.0.0.0",
    log_level="INFO",
    rpc_addr=DEFAULT_RPC_ADDR,
    protocol=5,
    query_response_size_limit=1024,
    query_size_limit=1024,
    user_event_size_limit=512,
    profile="lan",
    reconnect_interval=30 * SECOND,
    reconnect_timeout=24 * 3600 * SECOND,
    tombstone_timeout=24 * 3600 * SECOND,
    syslog_facility="LOCAL0",
    retry_interval=30 * SECOND,
    broadcast_timeout=5 * SECOND,
)


def merge(first: AgentConfig, second: AgentConfig) -> AgentConfig:
    """Both in one; where they differ the second one wins, within the rules of each kind."""
    merged: dict[str, Any] = {"disable_compression": first.disable_compression or second.disable_compression}
    for each in FIELDS.values():
        old, new = getattr(first, each.name), getattr(second, each.name)
        match each.metadata["kind"]:
            case Kind.BOOL:
                value = old or new
            case Kind.STRINGS:
                value = [*old, *new]
            case Kind.TAGS:
                value = old | new
            case Kind.IGNORED:
                value = False
            case Kind.INT if each.name == "protocol":
                value = new if new > 0 else old
            case _:
                value = new or old
        merged[each.name] = value
    return AgentConfig(**merged)
