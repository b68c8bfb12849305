"""The thin ring around an engine: sockets, timers and greenlets. It performs effects and decides nothing.

Three greenlets live as long as the node: one reads datagrams, one waits for timers, one
accepts streams. Each stream, in or out, gets a greenlet of its own from a bounded pool.
A step of the engine never yields, so under gevent no lock is needed anywhere.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import gevent
from gevent.event import Event
from gevent.pool import Group, Pool

from serfcompat.errors import JoinError, MergeRefused, StartError
from serfcompat.runtime import tcp
from serfcompat.runtime.advertise import advertised, is_public
from serfcompat.runtime.clock import Clock
from serfcompat.runtime.inheritance import let_go
from serfcompat.runtime.resolve import ResolveError, resolve
from serfcompat.runtime.surroundings import here
from serfcompat.runtime.timers import Timers
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.effects import CancelTimer, Finished, SendPacket, SetTimer, StartPushPull, StartTcpPing, TimerKey
from serfcompat.swim.metrics import Metrics
from serfcompat.wire.address import Address, ip_bytes, join_host_port
from serfcompat.wire.large_answer import Reference
from serfcompat.wire.stream import PushPull

MOST_STREAMS = 512
"Inbound streams served at once; more are closed unread and counted."
_BIND_ATTEMPTS = 10
"Tries to find a port that is free for TCP and UDP (spec memberlist §6.16)."
_ACCEPT_PAUSE, _ACCEPT_PAUSE_MAX = 0.005, 1.0
"Seconds to wait after a failed accept, doubling (spec memberlist §2.10)."
_FETCH_TIMEOUT = 60.0
"Seconds for all of a large answer."
_LATE_WARNING_PAUSE_NS = 60_000_000_000
"From one warning of a hub that stands still to the next."


def draw_nonce() -> bytes:
    """Twelve fresh random bytes from the system."""
    return os.urandom(12)


class Engine(tcp.StreamEngine, Protocol):
    """What the ring drives: `Swim`, or `SerfEngine` around one. Steps return effects."""

    def start(self, now_ns: int) -> list[Any]: ...

    def on_packet(self, data: bytes, source: Address, now_ns: int) -> list[Any]: ...

    def on_timer(self, key: TimerKey, now_ns: int) -> list[Any]: ...

    def on_send_failed(self, seq_no: int, now_ns: int, *, remote: bool = True) -> list[Any]: ...

    def on_tcp_ping_done(self, seq_no: int, ok: bool, now_ns: int) -> list[Any]: ...

    def on_user_message(self, payload: bytes, now_ns: int) -> list[Any]: ...

    def merge_remote_state(self, remote: PushPull, join: bool, now_ns: int) -> list[Any]: ...


class Sockets:
    """A listener and a datagram socket on the same port, bound before the engine exists."""

    def __init__(self, config: MemberlistConfig) -> None:
        """Raises StartError in the words that operators know from Go, and leaves nothing open."""
        attempts = _BIND_ATTEMPTS if config.bind_port == 0 else 1
        for attempt in range(attempts):
            try:
                self._bind(config.bind_addr, config.bind_port)
                return
            except StartError:
                if attempt == attempts - 1:
                    raise

    def _bind(self, host: str, port: int) -> None:
        try:
            self.listener = here().listen(host, port)
        except OSError as error:
            raise _bind_error("TCP", host, port, error) from error
        self.port: int = self.listener.getsockname()[1]
        try:
            self.udp = here().datagrams(host, self.port)
        except OSError as error:
            self.listener.close()
            raise _bind_error("UDP", host, self.port, error) from error

    def close(self) -> None:
        self.listener.close()
        self.udp.close()

    def abandon(self) -> None:
        """Close this process's copies of the descriptors, and nothing else."""
        for sock in (self.listener, self.udp):
            let_go(sock)


def _bind_error(what: str, host: str, port: int, error: OSError) -> StartError:
    reason = (error.strerror or str(error)).lower()
    where = join_host_port(host, port)
    return StartError(
        "Could not set up network transport: failed to obtain an address: "
        f'Failed to start {what} listener on "{host}" port {port}: listen {what.lower()} {where}: bind: {reason}'
    )


class Ring:
    """Drives one engine on the current hub."""

    def __init__(
        self,
        sockets: Sockets,
        engine: Engine,
        *,
        config: MemberlistConfig,
        metrics: Metrics,
        log: logging.Logger,
        perform_other: Callable[[Any, int], None],
        settled: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            perform_other: (effect, now_ns) → performs what isn't the ring's own; must not block.
            settled: Called when the effects of a step are performed; must not block.
        """
        self.engine = engine
        self.config = config
        self.clock: Clock = clock or here()
        self.log = log
        self._sockets = sockets
        self._metrics = metrics
        self._perform_other = perform_other
        self._settled = settled
        self._timers = Timers(self.clock, self._on_timer, self._on_late)
        self._inbound = Pool(MOST_STREAMS)
        self._own = Group()
        "Streams that we started: the engine bounds them, and strangers can't use up their places."
        self._gate = tcp.Gate()
        self._streams: set[Any] = set()
        "Open ones, in both directions."
        self._waiting: dict[Any, Event] = {}
        self._greenlets: list[gevent.Greenlet[..., Any]] = []
        self.piece: Callable[[bytes, int], bytes] | None = None
        "What is asked for pieces of large answers; see `tcp.Sinks`."
        self._silent_until_ns = 0
        self.closed = False
        self._abandoned = False

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen, then let the engine announce itself."""
        address = advertised(self.config, self._sockets.port, here().private_ipv4)
        if is_public(address) and not self.engine.layers.keys:
            self.log.warning(
                "memberlist: %s is a public address and encryption is off: anybody may read and forge; set a key",
                address,
            )
        self._greenlets = [
            gevent.spawn(self._sockets.udp.run, self._on_packet),
            gevent.spawn(self._timers.run),
            gevent.spawn(self._accept),
        ]
        self.perform(self.engine.start(self.clock.now_ns()))

    def close(self) -> None:
        """Stop at once; nothing is sent. Whoever waits is woken."""
        if self.closed:
            return
        self.closed = True
        current = gevent.getcurrent()
        gevent.killall([greenlet for greenlet in self._greenlets if greenlet is not current], block=True)
        for group in (self._inbound, self._own):
            group.kill(block=current not in group)
        self._sockets.close()
        for waiter in self._waiting.values():
            waiter.set()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's sockets. No gevent call, no wait: its hub is the parent's."""
        self.closed = self._abandoned = True
        self._timers.stop()
        self._sockets.abandon()
        for stream in self._streams:
            let_go(stream)

    # -- effects ------------------------------------------------------------------------------

    def perform(self, effects: Iterable[Any]) -> None:
        """Do what a step asked for, in order. Never yields: sends don't block, the rest is handed on."""
        if self._abandoned:  # greenlets of an inline node go on in a forked child; nothing comes of it
            return
        for effect in effects:
            match effect:
                case SendPacket(data, to, probe):
                    self._send(data, to, probe)
                case SetTimer(key, at_ns):
                    self._timers.set(key, at_ns)
                case CancelTimer(key):
                    self._timers.cancel(key)
                case StartPushPull():
                    self.spawn(self._own_push_pull, effect)
                case StartTcpPing():
                    self.spawn(self._tcp_ping, effect)
                case Finished(token):
                    self.finish(token)
                case _:
                    self._perform_other(effect, self.clock.now_ns())
        self._settled()

    def finish(self, token: Any) -> None:
        """Wake who waits for `token`."""
        if (waiter := self._waiting.get(token)) is not None:
            waiter.set()

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        """Run something beside everything else, as long as the node lives."""
        self._own.spawn(function, *args)

    def wait_finished(self, token: Any, start: Callable[[], Iterable[Any]], timeout: float | None) -> bool:
        """Perform what `start` returns and wait until its broadcast is finished; False if time ran out.

        The waiter exists before the step, so a broadcast that finishes at once is not missed.
        """
        waiter = self._waiting[token] = Event()
        try:
            self.perform(start())
            return bool(waiter.wait(timeout))
        finally:
            del self._waiting[token]

    # -- streams that we start ----------------------------------------------------------------

    def join(self, addresses: Iterable[str]) -> int:
        """Exchange state with every address of every string; how many answered (spec memberlist §6.14).

        Raises:
            JoinError: None did.
        """
        reached, failures = 0, []
        for text in addresses:
            try:
                targets = resolve(
                    text,
                    default_port=self.config.bind_port,
                    dns_config_path=self.config.dns_config_path,
                    log=self.log,
                    lookup=here().lookup,
                )
            except ResolveError as error:
                self.log.warning("memberlist: failed to resolve %s: %s", text, error)
                failures.append(f"Failed to resolve {text}: {error}")
                continue
            for target in targets:
                try:
                    self.push_pull(target.address, target.name, join=True)
                    reached += 1
                except (OSError, tcp.ExchangeFailed, MergeRefused) as error:
                    cause = f"Failed to join {target.address}: {_cause(error, target.address)}"
                    self.log.debug("memberlist: %s", cause)
                    failures.append(cause)
        if failures and not reached:
            raise JoinError(failures)
        return reached

    def push_pull(self, to: Address, name: bytes, *, join: bool) -> None:
        """One exchange. Raises OSError, ExchangeFailed or MergeRefused."""
        self._require_name(to, name)
        timeout = self.config.tcp_timeout
        with (
            self._timed("memberlist.pushPullNode"),
            self._dial(to, timeout) as connection,
            tcp.Deadline(timeout) as deadline,
        ):
            tcp.push_pull(connection, self.engine, self._sinks(deadline), join=join)

    def send_reliable(self, to: Address, name: bytes, payload: bytes) -> None:
        """One user message over a stream. Raises OSError."""
        self._require_name(to, name)
        with self._dial(to, self.config.tcp_timeout) as connection:
            tcp.send_user(connection, payload, self.engine.layers, self._sinks(None))

    def fetch(self, to: Address, reference: Reference) -> bytes:
        """A large answer from the node that referred to it. Raises OSError or ExchangeFailed."""
        with tcp.Deadline(_FETCH_TIMEOUT), self._dial(to, self.config.tcp_timeout) as connection:
            return tcp.fetch(connection, reference, self.engine.layers, self._sinks(None))

    def _own_push_pull(self, effect: StartPushPull) -> None:
        try:
            self.push_pull(effect.to, effect.name, join=effect.join)
        except (OSError, tcp.ExchangeFailed, MergeRefused) as error:
            level = logging.DEBUG if effect.join else logging.ERROR  # that a lost node is still lost is no news
            where = _named(effect.to, effect.name)
            self.log.log(level, "memberlist: push/pull with %s failed: %s", where, _cause(error, effect.to))

    def _tcp_ping(self, effect: StartTcpPing) -> None:
        ok = False
        try:
            left = (effect.deadline_ns - self.clock.now_ns()) / 1e9
            with (
                tcp.Deadline(max(left, 0.001)) as deadline,
                self._dial(effect.to, left) as connection,
            ):
                sinks = self._sinks(deadline)
                ok = tcp.tcp_ping(connection, effect.message, effect.seq_no, self.engine.layers, sinks)
        except OSError as error:
            self.log.debug("memberlist: TCP ping of %s failed: %s", _named(effect.to, effect.name), error)
        finally:
            if not self.closed:  # else this greenlet was killed, and nobody is left to hear of it
                self.perform(self.engine.on_tcp_ping_done(effect.seq_no, ok, self.clock.now_ns()))

    @contextlib.contextmanager
    def _dial(self, to: Address, timeout: float) -> Iterator[tcp.Connection]:
        """An open stream. Raises OSError."""
        with here().dial(to, timeout, self._sockets.listener) as connection:
            stream = getattr(connection, "socket", connection)
            self._streams.add(stream)
            try:
                yield connection
            finally:
                self._streams.discard(stream)

    def _require_name(self, to: Address, name: bytes) -> None:
        if self.config.require_node_names and not name:
            raise tcp.ExchangeFailed(f"node names are required, none was given for {to}: join with name/host:port")

    # -- what comes in ------------------------------------------------------------------------

    def _on_packet(self, data: bytes, source: Address) -> None:
        self.perform(self.engine.on_packet(data, source, self.clock.now_ns()))

    def _on_timer(self, key: TimerKey, now_ns: int) -> None:
        timed = self._timed("memberlist.gossip") if key == ("gossip",) else contextlib.nullcontext()
        with timed:
            self.perform(self.engine.on_timer(key, now_ns))

    def _on_late(self, late_ns: int, now_ns: int) -> None:
        """The hub stood still: something hogs the CPU or blocks the thread, or the whole process was stopped."""
        self._metrics.sample("serfcompat.late", late_ns / 1e6)
        if now_ns >= self._silent_until_ns:
            self._silent_until_ns = now_ns + _LATE_WARNING_PAUSE_NS
            self.log.warning(
                "serfcompat: this node could not act for %.1f s; after a few seconds others take it for dead. "
                "If the program computes or blocks on the node's hub, give the node a thread: home='thread'",
                late_ns / 1e9,
            )

    def _send(self, data: bytes, to: Address, probe: int | None) -> None:
        try:
            sent, remote = self._sockets.udp.send(data, to), True
        except ValueError as error:
            self.log.warning("memberlist: not sent: %s", error)
            sent, remote = False, False
        if not sent:
            self._count_drop("send_failed")
            if probe is not None:
                self.perform(self.engine.on_send_failed(probe, self.clock.now_ns(), remote=remote))

    def _accept(self) -> Any:
        pause = _ACCEPT_PAUSE
        while True:
            try:
                connection, peer = self._sockets.listener.accept()
            except OSError as error:
                if self.closed:
                    return None
                self.log.error("memberlist: error accepting a TCP connection: %s", error)
                gevent.sleep(pause)
                pause = min(2 * pause, _ACCEPT_PAUSE_MAX)
                continue
            pause = _ACCEPT_PAUSE
            if self._inbound.free_count() <= 0:
                connection.close()
                self._count_drop("streams_full")
                continue
            self._inbound.spawn(self._serve, connection, peer)

    def _serve(self, connection: Any, peer: tuple[Any, ...]) -> None:
        source = _peer_address(peer)
        self._metrics.incr("memberlist.tcp.accept")
        self.log.debug("memberlist: stream connection from %s", source)
        self._streams.add(connection)
        try:
            with tcp.Deadline(self.config.tcp_timeout) as deadline:
                tcp.serve(connection, source, self.engine, self._sinks(deadline), self._gate)
        except OSError as error:
            self._count_drop("stream_io")
            self.log.error("memberlist: stream from %s broke off: %s", source, error)
        finally:
            self._streams.discard(connection)
            connection.close()

    def _sinks(self, deadline: tcp.Deadline | None) -> tcp.Sinks:
        return tcp.Sinks(
            user_message=lambda payload: self.perform(self.engine.on_user_message(payload, self.clock.now_ns())),
            merge=lambda remote, join: self.perform(self.engine.merge_remote_state(remote, join, self.clock.now_ns())),
            log_error=self.log.error,
            log_warning=self.log.warning,
            nonce=draw_nonce,
            count=self._metrics.incr,
            sample=self._metrics.sample,
            piece=self.piece,
            renew_deadline=(lambda: None) if deadline is None else deadline.renew,
        )

    @contextlib.contextmanager
    def _timed(self, metric: str) -> Iterator[None]:
        """Sample how many milliseconds the block took."""
        started_ns = self.clock.now_ns()
        try:
            yield
        finally:
            self._metrics.sample(metric, (self.clock.now_ns() - started_ns) / 1e6)

    def _count_drop(self, reason: str) -> None:
        self._metrics.incr(f"serfcompat.drop.{reason}")


def _peer_address(peer: tuple[Any, ...]) -> Address:
    return Address(ip_bytes(str(peer[0]).partition("%")[0]), int(peer[1]))


def _named(to: Address, name: bytes) -> str:
    return f"{name.decode('utf-8', 'backslashreplace')} ({to})" if name else str(to)


def _cause(error: Exception, to: Address) -> str:
    """The cause as operators know it from Go: `dial tcp 10.0.0.9:7946: connect: connection refused`."""
    if isinstance(error, TimeoutError):
        return f"dial tcp {to}: i/o timeout"
    if isinstance(error, OSError):
        return f"dial tcp {to}: connect: {(error.strerror or str(error)).lower()}"
    return str(error)
