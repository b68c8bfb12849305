"""`serf agent`: an agent in the foreground, from its first line to its exit status (spec agent §1.2, §2)."""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Literal

import gevent
from gevent.queue import Empty, Queue

from serfcompat.agent import logs as agent_logs
from serfcompat.agent.addresses import shown
from serfcompat.agent.agent import Agent
from serfcompat.agent.config import AgentConfig, ConfigError
from serfcompat.agent.durations import SECOND, format_duration
from serfcompat.agent.event_scripts import parse_scripts
from serfcompat.agent.handlers import ScriptHandler
from serfcompat.agent.keyring_file import read_keyring
from serfcompat.agent.logs import LEVELS, LogPipeline, invalid_level
from serfcompat.agent.metric_sinks import LineSink, Statsd, Statsite
from serfcompat.agent.metrics import AgentMetrics
from serfcompat.agent.rpc_server import RPCServer
from serfcompat.agent.serf_config import Plan, plan
from serfcompat.agent.service_manager import ServiceManager
from serfcompat.agent.settings import Say
from serfcompat.agent.syslog import Syslog, SyslogError
from serfcompat.agent.tags_file import read_tags
from serfcompat.errors import SerfCompatError, StartError, UsageError
from serfcompat.runtime.serf import Serf
from serfcompat.serf.config import Config

log = logging.getLogger("serfcompat.agent")
LEAVE_LIMIT = 3.0
"Seconds a graceful leave may take after a signal."
_NAMES = {signal.SIGINT: "interrupt", signal.SIGTERM: "terminated", signal.SIGHUP: "hangup"}

ReadConfig = Callable[[Say], AgentConfig]
"""Reads all sources of settings anew; gets where to print warnings. Raises ConfigError."""
Happening = signal.Signals | Literal["ended", "left", "retries exhausted"]


class Stop(Exception):
    """The agent can't start, or need not go on; carries the exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Foreground:
    """One run of the agent."""

    def __init__(self, read_config: ReadConfig, write: Callable[[str], None]) -> None:
        """`write` prints text as it is."""
        self._read_config = read_config
        self._write = write
        self._logs = LogPipeline(self._info)
        self._manager = ServiceManager.from_environment(os.environ)
        self._happenings: Queue[Happening] = Queue()

    def run(self) -> int:
        """Until a signal, an RPC client or a fault ends it; returns the exit status."""
        _quiet_signals()
        _allow_many_clients()
        _spare_logging()
        agent_logs.install(self._logs)
        try:
            self._start()
            return self._until_the_end()
        except Stop as stop:
            return stop.status
        finally:
            agent_logs.uninstall(self._logs)

    # -- printing -----------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self._write(f"==> {text}\n")

    def _info(self, text: str) -> None:
        self._write(f"    {text}\n" if text else "\n")

    def _field(self, label: str, value: str) -> None:
        self._info(f"{label:>27}: {value}")

    # -- starting -----------------------------------------------------------------------------

    def _start(self) -> None:
        try:
            self.config = config = self._read_config(self._say)
            self._set_level(config.log_level)
            if config.enable_syslog:
                self._logs.syslog = Syslog(config.syslog_facility).write
            planned = plan(config, self._say)
        except SyslogError as error:
            self._say(f"Syslog setup failed: {error}")
            raise Stop(1) from None
        except ConfigError as error:
            self._say(str(error))
            raise Stop(1) from None
        self._say("Starting Serf agent...")
        try:
            serf_config = self._with_files(planned.config, config)
        except ConfigError as error:
            self._say(f"Failed to setup the Serf agent: {error}")
            raise Stop(1) from None
        scripts = parse_scripts(config.event_handlers)
        self._metrics = _start_metrics(config)
        try:
            serf = Serf(serf_config, home="inline", metrics=self._metrics)
            self.scripts = ScriptHandler(serf, scripts, self._metrics)
            self.agent = Agent(serf, scripts, tags_file=config.tags_file)
            self.agent.start()
        except (StartError, UsageError) as error:
            self._say(f"Failed to start the Serf agent: Error creating Serf: {error}")
            raise Stop(1) from None
        self._serve(serf, planned)

    def _serve(self, serf: Serf, planned: Plan) -> None:
        config = self.config
        if config.discover:
            self._discover(serf)
        try:
            self.rpc = RPCServer(
                config.rpc_addr, self.agent, self._logs, auth_key=config.rpc_auth, metrics=self._metrics
            )
        except StartError as error:
            self._say(f"Error starting RPC listener: {error}")
            self.agent.shutdown()
            raise Stop(1) from None
        # Scripts may take long: streams hear of an event first.
        self.agent.add_consumer(self.scripts.handle)
        self._say("Starting Serf agent RPC...")
        self._say("Serf agent running!")
        self._banner(serf, planned)
        try:
            self._join_at_start()
        except SerfCompatError as error:
            self._say(str(error))
            self._shut_down()
            raise Stop(1) from None
        # From this line on signals are heeded; before it they just kill.
        for number in _NAMES:
            gevent.signal_handler(number, self._happenings.put, number)
        self._info("")
        self._say("Log data will now stream in as it occurs:\n")
        self._logs.open_gate()
        self._manager.ready()
        gevent.spawn(self._manager.live)

    def _discover(self, serf: Serf) -> None:
        """Look for other agents, and be found."""
        from serfcompat.agent import mdns  # needs memory that few agents want to spend
        from serfcompat.agent.mdns_records import Announcement

        config, local = self.config, serf.local_member()
        interface = config.mdns_interface or config.interface
        try:
            announcement = Announcement(
                config.discover, node=local.name, host=socket.gethostname(), ip=local.addr, port=local.port
            )
            if interface:
                log.info("agent: Starting mDNS listener on interface %s", interface)
            mdns.listen(announcement, interface)
        except (StartError, ValueError) as error:
            self._say(f"Error starting mDNS listener: {error}")
            self.agent.shutdown()
            raise Stop(1) from None
        off = {mdns.IPV4: config.mdns_disable_ipv4, mdns.IPV6: config.mdns_disable_ipv6}
        discovery = mdns.Discovery(
            config.discover,
            interface,
            [family for family, disabled in off.items() if not disabled],
            lambda addresses: self.agent.join(addresses, replay=config.replay_on_join),
        )
        gevent.spawn(discovery.run)

    def _set_level(self, word: str) -> None:
        """Raises ConfigError."""
        if word.upper() not in LEVELS:
            raise ConfigError(invalid_level(word))
        self._logs.threshold = word.upper()

    def _with_files(self, serf: Config, config: AgentConfig) -> Config:
        """The node's configuration with what the tags and keyring files add. Raises ConfigError."""
        if config.tags_file:
            if config.tags:
                raise ConfigError("Tags config not allowed while using tag files")
            tags = read_tags(config.tags_file)
            if tags is not None:
                log.info("agent: Restored %d tag(s) from %s", len(tags), config.tags_file)
                serf = serf.replace(tags=tags)
        if config.keyring_file:
            if config.encrypt_key:
                raise ConfigError("Encryption key not allowed while using a keyring")
            keys = read_keyring(config.keyring_file)
            log.info("agent: Restored keyring with %d keys from %s", len(keys), config.keyring_file)
            serf = serf.replace(memberlist=serf.memberlist.replace(keyring=keys))
        return serf

    def _banner(self, serf: Serf, planned: Plan) -> None:
        config = self.config
        self._field("Node name", f"'{config.node_name}'")
        self._field("Bind addr", f"'{shown(*planned.bind)}'")
        if planned.advertise is not None:
            self._info(f"Advertise addr: '{shown(*planned.advertise)}'")
        self._field("RPC addr", f"'{config.rpc_addr}'")
        self._field("Encrypted", _word(serf.encrypted))
        self._field("Snapshot", _word(bool(config.snapshot_path)))
        self._field("Profile", config.profile)
        self._field("Message Compression Enabled", _word(not config.disable_compression))
        if config.discover:
            self._field("mDNS cluster", config.discover)

    def _join_at_start(self) -> None:
        if not self.config.start_join:
            return
        self._say(f"Joining cluster...(replay: {_word(self.config.replay_on_join)})")
        count = self.agent.join(self.config.start_join, replay=self.config.replay_on_join)
        self._info(f"Join completed. Synced with {count} initial agents")

    def _retry_join(self) -> None:
        """In the background: until it works, or `retry_max_attempts` repetitions have failed."""
        config, failures = self.config, 0
        while True:
            log.info("agent: Joining cluster...(replay: %s)", _word(config.replay_on_join))
            try:
                count = self.agent.join(config.retry_join, replay=config.replay_on_join)
            except SerfCompatError as error:
                failures += 1
                if 0 < config.retry_max_attempts < failures:
                    log.error("agent: maximum retry join attempts made, exiting")
                    self._happenings.put("retries exhausted")
                    return
                log.warning("agent: Join failed: %s, retrying in %s", error, format_duration(config.retry_interval))
                gevent.sleep(config.retry_interval / SECOND)
            else:
                log.info("agent: Join completed. Synced with %d initial agents", count)
                return

    # -- running ------------------------------------------------------------------------------

    def _until_the_end(self) -> int:
        gevent.spawn(self._tell_of_the_end)
        if self.config.retry_join:
            gevent.spawn(self._retry_join)
        try:
            while True:
                match self._happenings.get():
                    case "ended":
                        return 0
                    case "retries exhausted":
                        return 1
                    case signal.SIGHUP:
                        self._say("Caught signal: hangup")
                        self._manager.reloading()
                        self._reload()
                        self._manager.ready()
                    case number:
                        return self._stop_by(number)
        finally:
            self._shut_down()

    def _tell_of_the_end(self) -> None:
        self.agent.ended.wait()
        self._happenings.put("ended")

    def _stop_by(self, number: Any) -> int:
        """SIGINT or SIGTERM: the exit status."""
        self._say(f"Caught signal: {_NAMES[number]}")
        if number == signal.SIGINT:
            graceful = not self.config.skip_leave_on_interrupt
        else:
            graceful = self.config.leave_on_terminate
        if not graceful:
            return 1
        self._say("Gracefully shutting down agent...")
        gevent.spawn(self._leave)
        deadline = time.monotonic() + LEAVE_LIMIT
        while True:
            try:
                what = self._happenings.get(timeout=max(0, deadline - time.monotonic()))
            except Empty:
                return 1
            if what == "left":
                return 0
            if isinstance(what, int):  # one more signal
                return 1

    def _leave(self) -> None:
        try:
            self.agent.leave()
        except SerfCompatError as error:
            self._say(f"Error: {error}")  # and then it is waited for, as if it hung
        else:
            self._happenings.put("left")

    def _shut_down(self) -> None:
        self._manager.stopping()
        self.agent.shutdown()
        self.rpc.close()

    # -- reloading ----------------------------------------------------------------------------

    def _reload(self) -> None:
        """Read all settings again; level, scripts, tags and what to do on signals take effect (spec agent §2.9)."""
        self._say("Reloading configuration...")
        try:
            fresh = self._read_config(self._say)
        except ConfigError as error:
            self._say(str(error))
            self._say("Failed to reload configs")
            return
        try:
            self._set_level(fresh.log_level)
        except ConfigError as error:
            self._say(str(error))
        self.scripts.scripts = parse_scripts(fresh.event_handlers)
        try:
            self.agent.set_tags(fresh.tags)
        except SerfCompatError as error:
            self._say(f"Failed to update tags: {error}")
        self.config = dataclasses.replace(
            self.config,
            leave_on_terminate=fresh.leave_on_terminate,
            skip_leave_on_interrupt=fresh.skip_leave_on_interrupt,
        )


def _start_metrics(config: AgentConfig) -> AgentMetrics:
    """Sinks as configured, and a dump to stderr on SIGUSR1."""
    sinks: list[LineSink] = []
    if config.statsite_addr:
        sinks.append(Statsite(config.statsite_addr))
    if config.statsd_addr:
        sinks.append(Statsd(config.statsd_addr))
    metrics = AgentMetrics(sinks, host=socket.gethostname())
    for sink in sinks:
        gevent.spawn(sink.run)
    gevent.spawn(metrics.watch_runtime)
    gevent.signal_handler(signal.SIGUSR1, lambda: print(metrics.dump(), end="", file=sys.stderr, flush=True))
    return metrics


def _allow_many_clients() -> None:
    """As many descriptors as the system lets us have; the usual 1024 are soon taken by RPC clients."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _spare_logging() -> None:
    """Let log calls not look up what no line tells: source file, thread, process (see logging's "Optimization")."""
    logging._srcfile = None
    logging.setLogRecordFactory(agent_logs.LineRecord)


def _quiet_signals() -> None:
    """What signals do before the agent runs, and those that never matter."""
    # Until the log streams, an interrupt just ends the process.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, _crash)


def _crash(number: int, frame: object) -> None:
    """Show where everything stands, and end."""
    faulthandler.dump_traceback()
    os._exit(2)


def _word(value: bool) -> str:
    return "true" if value else "false"
