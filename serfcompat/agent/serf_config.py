"""The agent's settings as the configuration of the node it runs (spec agent §2.3, §2.4 rows 14 to 18)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from serfcompat.agent.addresses import advertise_address, bind_address, interface_address
from serfcompat.agent.config import AgentConfig, ConfigError
from serfcompat.agent.durations import SECOND
from serfcompat.errors import UsageError
from serfcompat.serf.config import Config
from serfcompat.serf.key_responses import request_payload

COALESCE_PERIOD, QUIESCENT_PERIOD = 3.0, 1.0
"Seconds: the agent always coalesces member and user events."
QUERY_TIMEOUT_MULT = 16
_PROFILES: dict[str, Callable[..., Config]] = {"lan": Config.lan, "wan": Config.wan, "local": Config.local}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the node will be started with, and what the banner says of it."""

    config: Config
    bind: tuple[str, int]
    advertise: tuple[str, int] | None


def plan(config: AgentConfig, say: Callable[[str], None]) -> Plan:
    """Check the rest of the settings. Raises ConfigError."""
    bind_ip, bind_port = bind_address(config)
    if config.interface:
        given, bind_ip = bind_ip, interface_address(config.interface, bind_ip)
        if bind_ip != given:
            say(f"Using interface '{config.interface}' address '{bind_ip}'")
    advertise = advertise_address(config)
    key = encryption_key(config.encrypt_key)
    profile = _PROFILES.get(config.profile)
    if profile is None:
        raise ConfigError(f"Unknown profile: {config.profile}")
    advertise_ip, advertise_port = advertise or ("", bind_port)
    serf = profile(
        name=config.node_name,
        bind_addr=bind_ip,
        bind_port=bind_port,
        advertise_addr=advertise_ip,
        advertise_port=advertise_port,
        secret_key=key,
        enable_compression=not config.disable_compression,
    ).replace(
        node_name=config.node_name,
        tags=dict(config.tags),
        # One byte on the wire, and so upstream cuts it before it looks.
        protocol_version=config.protocol % 256,
        broadcast_timeout=config.broadcast_timeout / SECOND,
        coalesce_period=COALESCE_PERIOD,
        quiescent_period=QUIESCENT_PERIOD,
        user_coalesce_period=COALESCE_PERIOD,
        user_quiescent_period=QUIESCENT_PERIOD,
        query_timeout_mult=QUERY_TIMEOUT_MULT,
        reconnect_interval=config.reconnect_interval / SECOND,
        reconnect_timeout=config.reconnect_timeout / SECOND,
        tombstone_timeout=config.tombstone_timeout / SECOND,
        query_response_size_limit=config.query_response_size_limit,
        query_size_limit=config.query_size_limit,
        user_event_size_limit=config.user_event_size_limit,
        snapshot_path=config.snapshot_path,
        rejoin_after_leave=config.rejoin_after_leave,
        enable_name_conflict_resolution=not config.disable_name_resolution,
        keyring_file=config.keyring_file,
    )
    return Plan(serf, (bind_ip, bind_port), advertise)


def encryption_key(text: str) -> bytes | None:
    """The key in base64; None for an empty text. Its length is looked at later. Raises ConfigError."""
    if not text:
        return None
    try:
        request_payload(text)
    except UsageError as error:
        raise ConfigError(f"Invalid encryption key: {error}") from None
    return base64.b64decode(text)
