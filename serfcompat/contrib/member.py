"""The process of a host's member: `python -m serfcompat.contrib.member`, started by a worker.

It gets the lock of the run directory as descriptor 3 and its settings on stdin. It obeys no
parent: when the worker that started it dies, the others use it as before. When the last
worker has gone, it waits a little for new ones, leaves the cluster and ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from dataclasses import replace

import gevent
from gevent.event import Event as Flag

from serfcompat.agent import logs as agent_logs
from serfcompat.agent.agent import Agent
from serfcompat.agent.config import AgentConfig, ConfigError
from serfcompat.agent.keyring_file import read_keyring
from serfcompat.agent.logs import LogPipeline
from serfcompat.agent.metrics import AgentMetrics
from serfcompat.agent.rpc_server import RPCServer
from serfcompat.agent.serf_config import plan
from serfcompat.contrib.rundir import RunDir, State
from serfcompat.contrib.settings import HostSettings
from serfcompat.errors import SerfCompatError, StartError, UsageError
from serfcompat.runtime.serf import Serf
from serfcompat.serf.config import Config
from serfcompat.serf.events import Event, EventType, MemberEvent

log = logging.getLogger("serfcompat.contrib.member")
LOCK_FD = 3
"Where the lock is handed over: held as long as this process lives."
MAX_SETTINGS = 1 << 20
LOOK = 0.5
"Seconds between looks whether any worker is left."
FIRST_JOIN = 1.0
"Seconds for a first attempt to join, before workers are served: so that they see the cluster at once."
LONGEST_PAUSE = 30.0
"Seconds between attempts to join."
BIND_ATTEMPTS, BIND_PAUSE = 40, 0.05
"A member that was killed just now may not have let go of its port yet."
RETRANSMIT_MULT = 8
"""How often a message is told on, times the logarithm of the members. With the usual 4, in a cluster of five, one event
in 200 misses a member: it is told four times by each, to any of the others."""
EVENT_BUFFER = 2048
"""Events that are remembered, and given to those who missed them, at the next push/pull. With the usual 512 an event is
too old for that after 26 s at 20 a second, and push/pulls come every 30 s."""
LONGEST_LOG = 1_000_000
"Bytes after which the log goes on in a new file; one old one is kept."
LEAVE_LIMIT = 5.0
"Seconds that a graceful leave may take."


class LogFile:
    """Our stderr, in a file that is put aside when it is long enough."""

    def __init__(self, path: str) -> None:
        """Raises OSError if it can't be opened."""
        self._path = path
        self._open()

    def write(self, line: str) -> None:
        _to_stderr(line)
        with contextlib.suppress(OSError):
            if os.fstat(2).st_size > LONGEST_LOG:
                os.replace(self._path, self._path + ".1")
                self._open()

    def _open(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(fd, 2)
        os.dup2(fd, 1)
        os.close(fd)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Member:
    """One life of a host's member, on the hub of the thread that runs it."""

    def __init__(self, settings: HostSettings, logs: LogPipeline, lock: int) -> None:
        """Nothing happens before `run`. `lock`: the descriptor that holds the run directory's lock."""
        self._settings = settings
        self._dir = RunDir(settings.directory())
        self._state = State(os.getpid(), "starting", in_process=settings.in_process)
        self._logs = logs
        self._lock = lock
        self._stop = Flag()
        self._goes_on = False
        self._joined = Flag()
        self._servers: list[RPCServer] = []

    def run(self) -> int:
        """Until nobody needs it any more; returns the exit status."""
        self._dir.write_state(self._state)
        try:
            self._start()
        except (ConfigError, StartError, UsageError) as error:
            self._dir.write_state(replace(self._state, phase="failed", error=str(error)))
            log.error("contrib: the host's member can't start: %s", error)
            return 1
        chores = [gevent.spawn(self._watch_workers), gevent.spawn(self._follow_agent)]
        self._stop.wait()
        gevent.killall(chores)
        self._end()
        return 0

    def stop(self, *, leave: bool = True) -> None:
        """Let `run` come to its end: leave the cluster, or go for another process of this host to go on as us."""
        self._goes_on = not leave
        self._stop.set()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's sockets."""
        for server in self._servers:
            server.abandon()

    # -- starting -----------------------------------------------------------------------------

    def _start(self) -> None:
        config = self._settings.agent_config()
        self._logs.threshold = config.log_level.upper()
        serf_config = _with_keyring(plan(config, log.info).config, config)
        serf_config = serf_config.replace(
            # Workers want to know at once: nothing is gathered here. And what is true now may be forgotten soon.
            coalesce_period=0.0,
            user_coalesce_period=0.0,
            # And none shall miss an event.
            event_buffer=EVENT_BUFFER,
            memberlist=serf_config.memberlist.replace(retransmit_mult=RETRANSMIT_MULT),
            snapshot_path=config.snapshot_path or self._dir.snapshot,
        )
        metrics = AgentMetrics([], host=config.node_name)
        self._serf, self.agent = self._bound(serf_config, metrics)
        self.agent.add_consumer(self._on_event)
        seeds = [*config.start_join, *config.retry_join]
        joining = gevent.spawn(self._join, seeds, replay=config.replay_on_join)
        joining.join(FIRST_JOIN)
        gevent.spawn(self._outbid)
        for address in filter(None, (self._dir.address, config.rpc_addr)):
            self._servers.append(
                RPCServer(address, self.agent, self._logs, auth_key=self._token(address, config), metrics=metrics)
            )
        local = self._serf.local_member()
        self._state = replace(self._state, phase="running", name=local.name, address=local.address)
        self._dir.write_state(self._state)
        log.info("contrib: %s at %s serves the workers of %s", local.name, local.address, self._dir.path)

    def _bound(self, config: Config, metrics: AgentMetrics) -> tuple[Serf, Agent]:
        """A started agent. Raises StartError when the address stays taken."""
        for attempt in range(BIND_ATTEMPTS):
            serf = Serf(config, home="inline", metrics=metrics)
            agent = Agent(serf)
            try:
                agent.start()
            except StartError as error:
                if "address already in use" not in str(error):
                    raise
                if attempt == BIND_ATTEMPTS - 1:
                    raise StartError(
                        f"{error}: another program, or another user's member, has it; "
                        "give this one a `bind` and a `node_name` of its own"
                    ) from None
                gevent.sleep(BIND_PAUSE)
            else:
                return serf, agent
        raise AssertionError("unreachable")

    @staticmethod
    def _token(address: str, config: AgentConfig) -> str:
        """The UNIX socket is for our own user alone, and needs none."""
        return config.rpc_auth if not address.startswith("unix:") else ""

    def _join(self, seeds: list[str], *, replay: bool) -> None:
        """Until one of them answers."""
        pause = 0.5
        while seeds:
            try:
                self.agent.join(seeds, replay=replay)
            except SerfCompatError as error:
                log.info("contrib: nobody to join yet: %s", error)
                gevent.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return

    def _on_event(self, event: Event) -> None:
        if isinstance(event, MemberEvent) and event.type is EventType.MEMBER_JOIN:
            own = self._serf.local_member().name
            if any(member.name != own for member in event.members):
                self._joined.set()

    def _outbid(self) -> None:
        """Once somebody else is there, say again that we live, at a higher incarnation than any they know.

        The process before us may have been killed: then the others may suspect it by now, and our
        first words were at an incarnation that they have heard of.
        """
        self._joined.wait()
        with contextlib.suppress(SerfCompatError):
            self._serf.set_tags(self._serf.local_member().tags)

    # -- ending -------------------------------------------------------------------------------

    def _watch_workers(self) -> None:
        """When there has been no worker for `linger` seconds, it is time to go.

        The lock is kept from then on: a worker that comes now waits for our end, and starts anew.
        """
        alone_since: float | None = None
        while True:
            gevent.sleep(min(LOOK, self._settings.linger or LOOK))
            if not (self._dir.holds("lock", self._lock) and os.path.exists(self._dir.socket)):
                log.warning("contrib: somebody removed what is in %s: ending, to be started anew", self._dir.path)
                self._stop.set()
                return
            try:
                fd = self._dir.lock("workers")
            except StartError as error:
                log.error("contrib: %s", error)
                continue
            if fd is None:
                alone_since = None
                continue
            now = time.monotonic()
            alone_since = alone_since or now
            if now - alone_since >= self._settings.linger:
                log.info("contrib: no worker for %g s: leaving", self._settings.linger)
                self._stop.set()
                return
            os.close(fd)

    def _follow_agent(self) -> None:
        """A client may tell the agent to leave."""
        self.agent.ended.wait()
        self._stop.set()

    def _end(self) -> None:
        if not self._goes_on:
            self._dir.write_state(replace(self._state, phase="left"))
        if not self._goes_on and not self.agent.ending:
            with gevent.Timeout(LEAVE_LIMIT, False):
                try:
                    self.agent.leave()
                except SerfCompatError as error:
                    log.warning("contrib: left without a word: %s", error)
        self.agent.shutdown()
        for server in self._servers:
            server.close()


def _with_keyring(serf: Config, config: AgentConfig) -> Config:
    """With the keys of the keyring file, which then takes key changes, too. Raises ConfigError."""
    if not config.keyring_file:
        return serf
    if config.encrypt_key:
        raise ConfigError("give encrypt_key or keyring_file, not both")
    return serf.replace(memberlist=serf.memberlist.replace(keyring=read_keyring(config.keyring_file)))


def main() -> int:
    # Web servers let their listening sockets be inherited; held here, no restarted server could bind them.
    os.closerange(LOCK_FD + 1, 1 << 16)
    with open(0, "rb") as stdin:
        settings = HostSettings.from_json(stdin.read(MAX_SETTINGS))
    path = settings.log_file or RunDir(settings.directory()).log
    log_file = LogFile(path) if path != "-" else None
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    logs = LogPipeline(log_file.write if log_file else _to_stderr)
    agent_logs.install(logs)
    logs.open_gate()
    member = Member(settings, logs, LOCK_FD)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, member.stop)
    return member.run()


if __name__ == "__main__":
    sys.exit(main())
