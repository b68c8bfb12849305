"""`serf agent`: run an agent in the foreground (spec agent §1.2)."""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.agent.config import AgentConfig, ConfigError
from serfcompat.agent.durations import parse_duration
from serfcompat.agent.tags import split_tag
from serfcompat.cli.context import Context, write
from serfcompat.cli.flags import FlagSet, boolean, integer, string, strings

HELP = """
Usage: serf agent [options]

  Runs an agent, one member of a cluster, until it is interrupted.
"""
NOT_GIVEN = -1
_PATHS = "config-path"

FLAGS = FlagSet(
    string(
        "bind", "", "Address, and optionally port, to listen on for other members (default 0.0.0.0:7946).", value="addr"
    ),
    string("iface", "", "Network interface whose address to bind to.", value="name"),
    string("mdns-iface", "", "Network interface to use for discovery.", value="name"),
    boolean("mdns-disable-ipv4", False, "Don't discover over IPv4."),
    boolean("mdns-disable-ipv6", False, "Don't discover over IPv6."),
    string(
        "advertise",
        "",
        "Address, and optionally port, to tell other members instead of the one bound to.",
        value="addr",
    ),
    strings("config-file", "File with settings, in JSON. May be given several times.", value="path", into=_PATHS),
    strings(
        "config-dir",
        "Directory whose *.json files are read, by name. May be given several times.",
        value="path",
        into=_PATHS,
    ),
    string(
        "discover", "", "Find and join agents on this network that have the same cluster name here.", value="cluster"
    ),
    string(
        "encrypt", "", "Key for encrypting what members tell each other, in base64; see `serf keygen`.", value="key"
    ),
    string("keyring-file", "", "File with encryption keys, the one to encrypt with first.", value="path"),
    strings(
        "event-handler", "Script to run for events, as [filter=]script. May be given several times.", value="handler"
    ),
    strings("join", "Member to join at the start. May be given several times; one must answer.", value="addr"),
    boolean("replay", False, "Deliver user events from before a join.", hidden=True),
    string("log-level", "", "TRACE, DEBUG, INFO, WARN or ERR (default INFO).", value="level"),
    string("node", "", "Name of this member, unique in the cluster (default: the host's name).", value="name"),
    string("profile", "", "Timing: lan, wan or local (default lan).", value="profile"),
    integer("protocol", NOT_GIVEN, "Serf protocol to speak, 2 to 5 (default 5)."),
    boolean("rejoin", False, "Rejoin the cluster of the snapshot even after leaving it."),
    strings("retry-join", "Member to join in the background until it works. May be given several times.", value="addr"),
    string("retry-interval", "", "Time between attempts of -retry-join (default 30s).", value="time"),
    integer("retry-max", 0, "End after so many repeated attempts of -retry-join; 0 means never."),
    boolean("disable-compression", False, "Don't compress what is sent."),
    string("role", "", "Deprecated, use -tag role=<value>.", value="role"),
    string("rpc-addr", "", "Address and port to listen on for clients (default 127.0.0.1:7373).", value="host:port"),
    string("snapshot", "", "File to remember the cluster in, so that a restarted agent rejoins.", value="path"),
    boolean("syslog", False, "Log to the system log as well."),
    strings("tag", "Tag of this member. May be given several times.", value="key=value"),
    string("tags-file", "", "File in which tags survive that are changed at run time.", value="path"),
    string("broadcast-timeout", "", "How long to wait for a message to be spread (default 5s).", value="time"),
)


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 after a graceful leave, 1 otherwise. Positional arguments are ignored."""
    from serfcompat.agent.foreground import Foreground
    from serfcompat.agent.settings import Say, resolve

    def read_config(say: Say) -> AgentConfig:
        return resolve(from_flags(ctx), ctx.flags[_PATHS], say)

    return Foreground(read_config, lambda text: write(1, text)).run()


def from_flags(ctx: Context) -> AgentConfig:
    """The settings that the flags make. Raises ConfigError."""
    given = ctx.flags
    try:
        tags = dict(split_tag(argument) for argument in given["tag"])
        retry_interval = _duration(given["retry-interval"])
        broadcast_timeout = _duration(given["broadcast-timeout"])
    except ValueError as error:
        raise ConfigError(f"Error: {error}") from None
    return AgentConfig(
        bind=given["bind"],
        interface=given["iface"],
        mdns_interface=given["mdns-iface"],
        mdns_disable_ipv4=given["mdns-disable-ipv4"],
        mdns_disable_ipv6=given["mdns-disable-ipv6"],
        advertise=given["advertise"],
        discover=given["discover"],
        encrypt_key=given["encrypt"],
        keyring_file=given["keyring-file"],
        event_handlers=given["event-handler"],
        start_join=given["join"],
        replay_on_join=given["replay"],
        log_level=given["log-level"],
        node_name=given["node"],
        profile=given["profile"],
        protocol=given["protocol"],
        rejoin_after_leave=given["rejoin"],
        retry_join=given["retry-join"],
        retry_interval=retry_interval,
        retry_max_attempts=given["retry-max"],
        disable_compression=given["disable-compression"],
        role=given["role"],
        rpc_addr=given["rpc-addr"],
        snapshot_path=given["snapshot"],
        enable_syslog=given["syslog"],
        tags=tags,
        tags_file=given["tags-file"],
        broadcast_timeout=broadcast_timeout,
    )


def _duration(text: str) -> int:
    return parse_duration(text) if text else 0
