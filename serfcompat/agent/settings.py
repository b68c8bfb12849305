"""From flags and files to settings that can be used, checked in Go's order (spec agent §2.4, rows 5 to 11)."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Sequence

from serfcompat.agent.config import DEFAULTS, AgentConfig, ConfigError, merge
from serfcompat.agent.config_files import read_paths
from serfcompat.agent.durations import SECOND
from serfcompat.agent.event_scripts import parse_script

Say = Callable[[str], None]
"Prints a line that the operator must see."


def resolve(flags: AgentConfig, paths: Sequence[str], say: Say) -> AgentConfig:
    """Defaults, then files and directories in order, then flags.

    Warnings go to `say`. Raises ConfigError.
    """
    config = merge(merge(DEFAULTS, read_paths(paths)), flags)
    if not config.node_name:
        config.node_name = _hostname()
    for spec in config.event_handlers:
        for script in parse_script(spec):
            if not script.filter.valid:
                raise ConfigError(f"Invalid event script: {script}")
    _check_interface(config.interface, "Invalid network interface")
    if config.mdns_interface:
        if not config.discover:
            raise ConfigError("mDNS interface specified without enabling mDNS discovery")
        _check_interface(config.mdns_interface, "Invalid mDNS network interface")
        if config.mdns_disable_ipv4 and config.mdns_disable_ipv6:
            raise ConfigError("Invalid mDNS configuration: both IPv4 and IPv6 are disabled")
    return _amended(config, say)


def _amended(config: AgentConfig, say: Say) -> AgentConfig:
    """What is usable though not as it was written, with a word about it."""
    changes: dict[str, object] = {}
    if config.role:
        say("Deprecation warning: 'Role' has been replaced with 'Tags'")
        changes["tags"] = config.tags | {"role": config.role}
    if config.retry_interval < SECOND:
        say("Warning: 'RetryInterval' is too low. Setting to 1s")
        changes["retry_interval"] = SECOND
    if config.broadcast_timeout < SECOND:
        say("Warning: 'BroadcastTimeout' is too low. Setting to 1s")
        changes["broadcast_timeout"] = SECOND
    if config.rejoin_after_leave and not config.snapshot_path:
        say("Warning: 'RejoinAfterLeave' enabled without snapshot file")
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def _hostname() -> str:
    try:
        return socket.gethostname()
    except OSError as error:
        raise ConfigError(f"Error determining hostname: {error.strerror}") from None


def _check_interface(name: str, complaint: str) -> None:
    if not name:
        return
    try:
        socket.if_nametoindex(name)
    except OSError:
        raise ConfigError(f"{complaint}: route ip+net: no such network interface") from None
