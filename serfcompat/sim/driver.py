"""Steps the engines and performs what they ask for, on virtual time.

The simulator's counterpart of the ring in `runtime`: same effects, same order, no
sockets. One step is one call of an engine; its effects are performed before anything
else happens, and whatever takes time goes to the agenda.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from serfcompat.errors import MergeRefused
from serfcompat.serf.effects import (
    AppendSnapshot,
    CloseQuery,
    Deliver,
    DeliverAck,
    DeliverResponse,
    JoinAgain,
    JoinPrevious,
    Quit,
    Rejoin,
    ReplaceSnapshot,
    SyncSnapshot,
    TimedOut,
    WriteKeyring,
)
from serfcompat.serf.engine import SerfEngine
from serfcompat.sim import streams
from serfcompat.sim.agenda import Agenda
from serfcompat.sim.answers import Answers
from serfcompat.sim.host import RECEIVE_BUFFER, Engine, Host
from serfcompat.sim.network import Network
from serfcompat.sim.observer import Observer
from serfcompat.sim.streams import Connection
from serfcompat.swim.config import seconds_to_ns
from serfcompat.swim.effects import (
    CancelTimer,
    Emit,
    Finished,
    SendPacket,
    SetTimer,
    StartPushPull,
    StartTcpPing,
    TimerKey,
)
from serfcompat.wire.address import Address, ip_bytes

Listener = Callable[[Host, Any, int], None]
"(host, event, world time): a Serf event, or at the memberlist level a SWIM event."


class Driver:
    """All hosts, the network between them, and the agenda."""

    def __init__(self, network: Network) -> None:
        self.agenda = Agenda()
        self.network = network
        self.hosts: dict[str, Host] = {}
        self.at_address: dict[Address, Host] = {}
        "Hosts by where they are reached, whether a node runs there or not."
        self.observers: list[Observer] = []
        self.listeners: list[Listener] = []
        self.waiting: dict[tuple[str, Hashable], Callable[[str | None], None]] = {}
        "(host, token) → told None when what the token stands for is finished, or why it failed."
        self.answers: dict[tuple[str, tuple[int, int]], Answers] = {}
        "(host, key of a query) → where its answers are collected."
        self._orders = 0
        self._perform_one: dict[type, Callable[[Host, Any], None]] = {
            SendPacket: self._send,
            SetTimer: self._set_timer,
            CancelTimer: self._cancel_timer,
            StartPushPull: lambda host, effect: self.push_pull(host, effect.to, join=effect.join),
            StartTcpPing: self._tcp_ping,
            Finished: lambda host, effect: self._finish(host, effect.token, None),
            Emit: lambda host, effect: self._tell(host, effect.event),
            Deliver: lambda host, effect: self._tell(host, effect.event),
            DeliverAck: self._ack,
            DeliverResponse: self._response,
            CloseQuery: self._close_query,
            TimedOut: lambda host, effect: self._finish(host, effect.token, effect.reason),
            Rejoin: lambda host, effect: self.push_pull(host, effect.to, join=True),
            JoinPrevious: self._join_previous,
            JoinAgain: self._join_again,
            AppendSnapshot: lambda host, effect: host.disk.append(effect.data, flush=effect.flush),
            SyncSnapshot: lambda host, effect: host.disk.flush(),
            ReplaceSnapshot: self._replace_snapshot,
            WriteKeyring: self._write_keyring,
            Quit: lambda host, _effect: self.shut_down(host),
        }

    # -- steps --------------------------------------------------------------------------------

    def step(self, host: Host, cause: str, detail: Any, act: Callable[[Engine, int], Sequence[Any]]) -> None:
        """Let a node act, at what its clock shows now, and perform what it wants done."""
        self.perform(host, cause, detail, act(host.engine, host.clock.read(self.agenda.now_ns)))

    def perform(self, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        for observer in self.observers:
            observer.on_step(self.agenda.now_ns, host, cause, detail, effects)
        perform = self._perform_one
        for effect in effects:
            perform[type(effect)](host, effect)

    def shut_down(self, host: Host) -> None:
        """Stop the node without a word to the others, but let it close its files."""
        if host.running and isinstance(host.engine, SerfEngine):
            self.step(host, "call", "shutdown", lambda engine, now_ns: engine.shutdown(now_ns))  # type: ignore[union-attr]
        self.stop(host)

    def stop(self, host: Host) -> None:
        """The process ends, without a word. What is on its way to the host finds nobody."""
        host.running = False
        host.timers = {}
        host.held = host.stalled = None
        host.held_bytes = 0

    def pause(self, host: Host) -> None:
        """Stop the process as SIGSTOP does: what comes is kept by the system, as far as it fits."""
        if host.held is None:
            host.held = []

    def resume(self, host: Host) -> None:
        """Let the process go on: everything that came meanwhile is handled now, in order."""
        held, host.held, host.held_bytes = host.held or [], None, 0
        for function, args in held:
            self.agenda.after(0, function, *args)

    def stall(self, host: Host) -> None:
        """Let a node's input and output stall, as on an overloaded machine: it thinks on, deaf and mute."""
        if host.stalled is None:
            host.stalled = []

    def go_on(self, host: Host) -> None:
        """End a stall: what it wanted to send goes out now, and what was sent to it arrives, in order."""
        waiting, host.stalled, host.held_bytes = host.stalled or [], None, 0
        for action in waiting:
            action()

    def set_clock(self, host: Host, rate: int) -> None:
        """Let a host's clock run at another pace, in millionths, from now on."""
        host.clock.run_at(rate, self.agenda.now_ns)
        for key, (order, at_ns) in host.timers.items():
            self.agenda.at(host.clock.world(at_ns), self._due, host, key, order)

    # -- streams that nodes open --------------------------------------------------------------

    def push_pull(
        self, host: Host, to: Address, *, join: bool, then: Callable[[str | None], None] = lambda _failure: None
    ) -> None:
        """Exchange full state; `then` hears None, or why it failed."""

        def answered(answer: bytes, failure: str | None) -> None:
            if failure is None:
                try:
                    remote = streams.remote_state(host.engine, answer)
                    self.step(host, "merge", to, lambda engine, now_ns: engine.merge_remote_state(remote, join, now_ns))
                except MergeRefused as error:
                    failure = str(error)
            then(failure)

        request = streams.dial(host.engine, host.engine.local_state(join), host.nonce)
        self._open(host, to, request, seconds_to_ns(host.engine.config.tcp_timeout), answered)

    def _tcp_ping(self, host: Host, effect: StartTcpPing) -> None:
        def answered(answer: bytes, failure: str | None) -> None:
            ok = failure is None and streams.acknowledged(host.engine, answer, effect.seq_no)
            self.step(host, "tcp-ping", ok, lambda engine, now_ns: engine.on_tcp_ping_done(effect.seq_no, ok, now_ns))

        request = streams.dial(host.engine, effect.message, host.nonce)
        timeout_ns = effect.deadline_ns - host.clock.read(self.agenda.now_ns)
        self._open(host, effect.to, request, timeout_ns, answered)

    def _open(
        self, host: Host, to: Address, request: bytes, timeout_ns: int, done: Callable[[bytes, str | None], None]
    ) -> None:
        agenda, network = self.agenda, self.network
        connection = Connection(host, to, request, done)
        if host.stalled is not None:
            timeout_at_ns = host.clock.world(host.clock.read(agenda.now_ns) + timeout_ns)
            agenda.at(timeout_at_ns, self._handle, host, host.life, connection.end, b"", streams.TIMEOUT)
            return
        host.traffic.streams += 1
        target = self.at_address.get(to)
        deadline_ns = host.clock.world(host.clock.read(agenda.now_ns) + timeout_ns)
        agenda.at(deadline_ns, self._handle, host, host.life, connection.end, b"", streams.TIMEOUT)
        if target is None or not network.connected(host.name, target.name):
            return
        round_trip = sum(network.stream_delay(*way, host.wire_dice) for way in _both(host, target))
        if not target.running:
            agenda.after(round_trip, self._handle, host, host.life, connection.end, b"", streams.REFUSED)
            return
        host.traffic.stream_bytes += len(request)
        flight = network.stream_delay(host.name, target.name, host.wire_dice)
        agenda.after(round_trip + flight, self._handle, target, target.life, self._serve, target, connection)

    def _serve(self, host: Host, connection: Connection) -> None:
        client = connection.client
        if host.stalled is not None:
            host.stalled.append(lambda: self._serve(host, connection))
            return
        if not self.network.connected(client.name, host.name):
            return  # the client's timeout will tell
        source = client.address
        served = streams.serve(host.engine, connection.request, source, host.nonce)
        flight = self.network.stream_delay(host.name, client.name, host.wire_dice)
        if served.answer:
            host.traffic.stream_bytes += len(served.answer)
            self.agenda.after(flight, self._receive, client, connection.life, connection.end, served.answer, None)
        else:
            self.agenda.after(flight, self._receive, client, connection.life, connection.end, b"", streams.NO_ANSWER)
        if (remote := served.remote) is not None:
            try:
                self.step(
                    host, "merge", source, lambda engine, now_ns: engine.merge_remote_state(remote, remote.join, now_ns)
                )
            except MergeRefused:
                host.engine.drop("merge_refused", source)
        if served.payload:
            self.step(host, "stream", source, lambda engine, now_ns: engine.on_user_message(served.payload, now_ns))

    # -- what comes in ------------------------------------------------------------------------

    def _arrive(self, to: Address, data: bytes, source: Host) -> None:
        host = self.at_address.get(to)
        if host is None or not host.running:
            self.network.lost += 1
            return
        if host.held is not None or host.stalled is not None:
            if host.held_bytes + len(data) > RECEIVE_BUFFER:
                self.network.lost += 1
                return
            host.held_bytes += len(data)
        if host.stalled is not None:
            host.stalled.append(lambda: self._handle(host, host.life, self._packet, host, data, source))
            return
        if host.held is None and not host.lag_ns:
            self._packet(host, data, source)
        else:
            self._handle(host, host.life, self._packet, host, data, source)

    def _packet(self, host: Host, data: bytes, source: Host) -> None:
        host.traffic.received += 1
        effects = host.engine.on_packet(data, source.address, host.clock.read(self.agenda.now_ns))
        self.perform(host, "packet", (source.name, data), effects)

    def _receive(self, host: Host, life: int, function: Callable[..., None], *args: Any) -> None:
        """Call a function with something that the network brings: when the host's input doesn't stall."""
        if host.stalled is not None:
            host.stalled.append(lambda: self._handle(host, life, function, *args))
        else:
            self._handle(host, life, function, *args)

    def _handle(self, host: Host, life: int, function: Callable[..., None], *args: Any) -> None:
        """Call a function in a host's process: later if it is paused or slow, never if the process ended."""
        if not host.running or host.life != life:
            return
        if host.held is not None:
            host.held.append((self._handle, (host, life, function, *args)))
        elif host.lag_ns:
            self.agenda.after(host.lag_ns, self._handle_late, host, life, function, *args)
        else:
            function(*args)

    def _handle_late(self, host: Host, life: int, function: Callable[..., None], *args: Any) -> None:
        if not host.running or host.life != life:
            return
        if host.held is not None:
            host.held.append((self._handle_late, (host, life, function, *args)))
        else:
            function(*args)

    def _due(self, host: Host, key: TimerKey, order: int) -> None:
        timer = host.timers.get(key)
        if timer is not None and timer[0] == order:
            if host.held is not None or host.lag_ns:
                self._handle(host, host.life, self._fire, host, key, order)
            else:
                self._fire(host, key, order)

    def _fire(self, host: Host, key: TimerKey, order: int) -> None:
        timer = host.timers.get(key)
        if timer is None or timer[0] != order:  # moved or cancelled while the host was late
            return
        own_ns = host.clock.read(self.agenda.now_ns)
        if own_ns < timer[1]:  # the clock was slowed down meanwhile; a later entry stands for it
            return
        del host.timers[key]
        self.perform(host, "timer", key, host.engine.on_timer(key, own_ns))

    # -- effects ------------------------------------------------------------------------------

    def _send(self, host: Host, effect: SendPacket) -> None:
        if host.stalled is not None:
            host.stalled.append(lambda: self._send(host, effect))
            return
        data, to = effect.data, effect.to
        if self.network.unplugged and host.name in self.network.unplugged:
            if effect.probe is not None:
                seq_no = effect.probe
                self.step(host, "send-failed", seq_no, lambda engine, now_ns: engine.on_send_failed(seq_no, now_ns))
            return
        traffic = host.traffic
        traffic.packets += 1
        traffic.packet_bytes += len(data)
        target = self.at_address.get(to)
        if target is None:
            self.network.lost += 1
            return
        for delay in self.network.copies(host.name, target.name, len(data), host.wire_dice):
            self.agenda.after(delay, self._arrive, to, data, host)

    def _set_timer(self, host: Host, effect: SetTimer) -> None:
        self._orders = order = self._orders + 1
        host.timers[effect.key] = (order, effect.at_ns)
        self.agenda.at(host.clock.world(effect.at_ns), self._due, host, effect.key, order)

    def _cancel_timer(self, host: Host, effect: CancelTimer) -> None:
        host.timers.pop(effect.key, None)

    def _finish(self, host: Host, token: Hashable, failure: str | None) -> None:
        if (then := self.waiting.pop((host.name, token), None)) is not None:
            then(failure)

    def _tell(self, host: Host, event: Any) -> None:
        for listener in self.listeners:
            listener(host, event, self.agenda.now_ns)

    def _ack(self, host: Host, effect: DeliverAck) -> None:
        if (answers := self.answers.get((host.name, effect.query))) is not None:
            answers.acks.append(effect.from_)
        if isinstance(host.engine, SerfEngine):
            host.engine.query_taken(effect.query, acks=1)

    def _response(self, host: Host, effect: DeliverResponse) -> None:
        if (answers := self.answers.get((host.name, effect.query))) is not None:
            answers.responses.append((effect.from_, effect.payload))
        if isinstance(host.engine, SerfEngine):
            host.engine.query_taken(effect.query, responses=1)

    def _close_query(self, host: Host, effect: CloseQuery) -> None:
        if (answers := self.answers.pop((host.name, effect.query), None)) is not None:
            answers.closed = True

    def _join_previous(self, host: Host, effect: JoinPrevious) -> None:
        host_text, _, port = effect.address.rpartition("/")[2].rpartition(":")

        def joined(failure: str | None) -> None:
            self.step(
                host, "rejoined", failure or "ok",
                lambda engine, now_ns: engine.on_previous_joined(failure is None, now_ns),  # type: ignore[union-attr]
            )  # fmt: skip

        self.push_pull(host, Address(ip_bytes(host_text.strip("[]")), int(port)), join=True, then=joined)

    def _join_again(self, host: Host, effect: JoinAgain) -> None:
        for address in effect.addresses:
            host_text, _, port = address.rpartition("/")[2].rpartition(":")
            self.push_pull(host, Address(ip_bytes(host_text.strip("[]")), int(port)), join=True)

    def _replace_snapshot(self, host: Host, effect: ReplaceSnapshot) -> None:
        host.disk.replace(effect.data)
        if effect.recovery and isinstance(host.engine, SerfEngine):
            host.engine.on_snapshot_recovered()

    def _write_keyring(self, host: Host, effect: WriteKeyring) -> None:
        host.disk.keyring = effect.data
        self.step(
            host, "keyring", effect.request,
            lambda engine, now_ns: engine.on_keyring_written(effect.request, None, now_ns),  # type: ignore[union-attr]
        )  # fmt: skip


def _both(a: Host, b: Host) -> tuple[tuple[str, str], tuple[str, str]]:
    return (a.name, b.name), (b.name, a.name)
