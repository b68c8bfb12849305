"""What a host's member is called, where it listens, and where the workers of the host meet."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from serfcompat.agent.config import DEFAULTS, FIELDS, AgentConfig, ConfigError, merge
from serfcompat.agent.config_files import decode
from serfcompat.agent.logs import LEVELS, invalid_level
from serfcompat.errors import UsageError

LINGER = 10.0
RUN_DIR_VARIABLE = "SERFCOMPAT_RUN_DIR"
_OWN = ("run_dir", "linger", "attach", "attach_auth", "log_file", "in_process")
_NOT_HERE = frozenset(
    {"tags_file", "discover", "event_handlers", "enable_syslog", "syslog_facility", "statsd_addr", "statsite_addr"}
)
"Settings that need an agent of its own: the host's member is found by its workers, not by operators."


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """Settings of one host's member. All workers that use the same `run_dir` share one."""

    run_dir: str = ""
    """Directory for the lock, the socket and the snapshot. Empty: `$SERFCOMPAT_RUN_DIR`, else
    `$XDG_RUNTIME_DIR/serfcompat`, else `serfcompat-UID` in the directory for temporary files."""
    linger: float = LINGER
    """Seconds that the member stays when the last worker has gone, so that a restart goes unnoticed. Then it leaves."""
    attach: str = ""
    """`host:port` or `unix:///path` of an agent that somebody else runs; no member is started then."""
    attach_auth: str = field(default="", repr=False)
    """The token that this agent wants to see (rpc_auth)."""
    log_file: str = ""
    """Where the member logs, 2 MB at most; empty: `member.log` in the run directory. `-`: stderr of the worker that
    started it, which it then keeps open: whoever reads that to its end waits for the member as well."""
    in_process: bool = False
    """Run the member in a thread of the worker that is its first, instead of a process of its own: for programs of
    one process. ⚠ It lives and dies with that worker (another one goes on, if there is one, else it leaves at once),
    may look dead while the worker holds its interpreter, and logs where the worker does."""
    agent: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All else: the keys of an agent's configuration file, such as `node_name`, `bind`, `tags`, `encrypt_key`."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """From one mapping with our own keys and those of an agent's configuration file, checked.

        Raises:
            UsageError: A key is unknown or its value can't be used; the text names all of them.
        """
        own = {key: settings[key] for key in _OWN if settings.get(key) is not None}
        agent = {key: value for key, value in settings.items() if key not in _OWN and value is not None}
        try:
            made = cls(agent=agent, **own)
            made.agent_config()
        except (ConfigError, TypeError, ValueError) as error:
            raise UsageError(f"settings of the host's member: {error}") from None
        if not isinstance(made.linger, (int, float)) or made.linger < 0:
            raise UsageError("settings of the host's member: linger must be seconds, 0 or more")
        if not isinstance(made.in_process, bool):
            raise UsageError("settings of the host's member: in_process must be True or False")
        return made

    def agent_config(self) -> AgentConfig:
        """The member's configuration, with the agent's defaults. Raises ConfigError or ValueError."""
        if unfit := sorted(_NOT_HERE.intersection(map(str.lower, self.agent))):
            raise ConfigError(f"{', '.join(unfit)}: run `serfcompat agent` for that, and name it in `attach`")
        given = decode(json.dumps(dict(self.agent)).encode())
        config = merge(DEFAULTS, given)
        config.rpc_addr = given.rpc_addr  # the UNIX socket is always there; a port only if it is asked for
        if not config.node_name:
            config.node_name = socket.gethostname()
        if config.log_level.upper() not in LEVELS:
            raise ConfigError(invalid_level(config.log_level))
        if "log_level" not in self.agent:
            config.log_level = "WARN"
        return config

    def directory(self) -> str:
        """The run directory, whether it exists or not."""
        if self.run_dir:
            return os.path.abspath(self.run_dir)
        if chosen := os.environ.get(RUN_DIR_VARIABLE):
            return os.path.abspath(chosen)
        if runtime := os.environ.get("XDG_RUNTIME_DIR"):
            return os.path.join(runtime, "serfcompat")
        return os.path.join(tempfile.gettempdir(), f"serfcompat-{os.getuid()}")

    def to_json(self) -> bytes:
        """All that the member's process has to know. It has secrets in it: not for a command line or a log."""
        return json.dumps(
            {"run_dir": self.directory(), "linger": self.linger, "log_file": self.log_file, "agent": dict(self.agent)}
        ).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        return cls(**json.loads(data))


def known_keys() -> list[str]:
    """Every key that `HostSettings.of` takes."""
    return sorted([*_OWN, *(key for key in FIELDS if key not in _NOT_HERE)])
