"""The agent's RPC port (spec agent §4.1)."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from typing import Any

import gevent
from gevent import socket

from serfcompat.agent.agent import Agent
from serfcompat.agent.logs import LogPipeline
from serfcompat.agent.rpc_commands import COMMANDS
from serfcompat.agent.rpc_session import Session
from serfcompat.errors import StartError
from serfcompat.rpc.dial import UNIX, port_number, split_host_port
from serfcompat.runtime.inheritance import let_go
from serfcompat.serf.events import Event
from serfcompat.swim.metrics import Metrics
from serfcompat.wire.address import join_host_port

log = logging.getLogger("serfcompat.agent.ipc")
BACKLOG = 1024
PAUSE = 0.05
"Seconds to wait when the system has no descriptor left for one more client."


class RPCServer:
    """Listens from the start; each client gets a greenlet."""

    def __init__(self, address: str, agent: Agent, logs: LogPipeline, *, auth_key: str, metrics: Metrics) -> None:
        """`address`: `host:port`, or `unix:///path`. Raises StartError."""
        self._agent = agent
        self._logs = logs
        self._auth_key = auth_key
        self._metrics = metrics
        self._sessions: dict[Session, gevent.Greenlet] = {}
        self._path = address.removeprefix(UNIX) if address.startswith(UNIX) else ""
        self._listener = _listen_unix(self._path) if self._path else _listen(address)
        agent.add_consumer(self.deliver)
        self._accepting = gevent.spawn(self._accept)

    @property
    def address(self) -> Any:
        """Where it listens, as the system says."""
        return self._listener.getsockname()

    def deliver(self, event: Event) -> None:
        """Hand an event to every client's streams."""
        for session in list(self._sessions):
            if session.streams:
                session.deliver(event)

    def close(self) -> None:
        """Accept nobody any more, and hang up on everybody."""
        self._accepting.kill()
        self._listener.close()
        if self._path:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        for session in list(self._sessions):
            session.close()

    def abandon(self) -> None:
        """In a forked child: close this process's copies of the parent's sockets, and tell nobody."""
        let_go(self._listener)
        for session in list(self._sessions):
            session.abandon()

    def _accept(self) -> None:
        while True:
            try:
                client, address = self._listener.accept()
            except OSError as error:
                if self._listener.closed:
                    return
                log.error("agent.ipc: Failed to accept client: %s", (error.strerror or str(error)).lower())
                gevent.sleep(PAUSE)
                continue
            if self._path:
                name = "@"
            else:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                name = join_host_port(address[0], address[1])
            log.info("agent.ipc: Accepted client: %s", name)
            self._metrics.incr("agent.ipc.accept")
            session = Session(
                client,
                name,
                self._agent,
                self._logs,
                COMMANDS,
                auth_key=self._auth_key,
                metrics=self._metrics,
            )
            self._sessions[session] = gevent.spawn(self._serve, session)

    def _serve(self, session: Session) -> None:
        try:
            session.serve()
        finally:
            self._sessions.pop(session, None)


def _listen(address: str) -> Any:
    try:
        host, port_text = split_host_port(address)
        port = port_number(port_text)
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except ValueError as error:
        raise StartError(f"listen tcp: {error}") from None
    except OSError:
        raise StartError(f"listen tcp: lookup {host}: no such host") from None
    family, kind, protocol, _, target = min(found, key=lambda info: info[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        where = join_host_port(target[0], target[1])
        raise StartError(f"listen tcp {where}: bind: {(error.strerror or str(error)).lower()}") from error
    return listener


def _listen_unix(path: str) -> Any:
    """Only our own user may connect."""
    _remove_if_nobody_listens(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartError(f"listen unix {path}: bind: {(error.strerror or str(error)).lower()}") from error
    finally:
        os.umask(mask)
    return listener


def _remove_if_nobody_listens(path: str) -> None:
    """A socket that an agent left behind when it was killed. Anything else stays."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            pass
