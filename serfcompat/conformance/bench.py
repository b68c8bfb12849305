"""What a case on the level of memberlist gets: a node to talk to, and ends to talk from."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

from serfcompat.conformance.case import Broken
from serfcompat.conformance.node import Node
from serfcompat.conformance.peer import Peer
from serfcompat.conformance.stranger import Stranger
from serfcompat.conformance.trace import ASKER, Trace
from serfcompat.errors import WireError
from serfcompat.wire.gostruct import Message
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, Dead, Ping, PushPullNode
from serfcompat.wire.stream import PushPull
from serfcompat.wire.types import MessageType

ALIVE, SUSPECT, DEAD, LEFT = 0, 1, 2, 3
ANSWER = 5.0
"Seconds within which a node answers a packet, however busy the machine is."
_LAST_LIFE = 0xFFFFFF00
ASK_AGAIN = 0.05
RESEND = 1.0
"Seconds after which a ping is repeated: packets may be lost."

T = TypeVar("T")
_numbers = itertools.count(1)
_seqs = itertools.count(0x10000)


class Bench:
    """Ends of the wire that are closed together, and the questions that cases ask most."""

    def __init__(self, node: Node, trace: Trace | None = None) -> None:
        self.node = node
        self.trace = trace or Trace()
        self._stack = ExitStack()
        self._here = node.our_address()
        # Made first, so that they are there until all others have left.
        self._asker = self.stranger(ASKER)
        self.herald = self.stranger("herald")
        "Somebody who passes on what others say."
        self._self: PushPullNode | None = None

    def close(self) -> None:
        """Leave the cluster with all that was made for the case."""
        self._stack.close()

    # -- ends ---------------------------------------------------------------------------------

    def stranger(self, who: str = "stranger", *, layers: Layers | None = None) -> Stranger:
        """Somebody who is no member. `layers`: others than the node's own."""
        end = Stranger(self._here, layers or self.node.layers, who=who, trace=self.trace)
        return self._stack.enter_context(end)

    def peer(self, role: str = "peer", *, vsn: bytes | None = None, meta: bytes | None = None, name: str = "") -> Peer:
        """Somebody who could be a member, but hasn't said so yet."""
        name = name or self.new_name(role)
        vsn = self.me.vsn if vsn is None else vsn
        assert vsn is not None
        peer = Peer(self._here, self.node.layers, name, vsn=vsn, meta=meta, trace=self.trace)
        return self._stack.enter_context(peer)

    def member(self, role: str = "member", **peer: Any) -> Peer:
        """A peer that the node takes for an alive member. It leaves at the end."""
        member = self.peer(role, **peer)
        self.join(member)
        self.wait_for_state(member, ALIVE)
        return member

    def join(self, member: Peer) -> PushPull:
        """Let a peer introduce itself. Broken: there was no exchange of state."""
        self._stack.callback(self._leave, member)
        return self.exchange([member.entry], join=True)

    def new_name(self, role: str) -> str:
        """A node name that nobody has."""
        return f"kit-{role}-{os.getpid()}-{next(_numbers)}"

    def new_entry(self, role: str, **fields: Any) -> PushPullNode:
        """The state of a node that doesn't exist, with nobody at its address. It is said to have left at the end."""
        values: dict[str, Any] = {
            "name": self.new_name(role).encode(),
            "addr": b"\x7f\x7f\x7f" + bytes((next(_numbers) % 250 + 1,)),
            "port": 9,
            "meta": None,
            "incarnation": 1,
            "state": ALIVE,
            "vsn": self.me.vsn,
        }
        entry = PushPullNode(**(values | fields))
        self.forget_later(entry.name)
        return entry

    def forget_later(self, name: bytes) -> None:
        """Let the node believe at the end that this one left: nobody shall look for those that never were."""
        self._stack.callback(self._bury, name)

    def _bury(self, name: bytes) -> None:
        self.tell(Dead(_LAST_LIFE, name, name))

    def _leave(self, member: Peer) -> None:
        try:
            known = self.entry(member.name)  # with the incarnation of the last word about it
        except Broken:
            return  # the node is gone
        self.tell(member.dead(member.name, known.incarnation if known else member.incarnation))

    def tell(self, message: Message, end: Stranger | None = None) -> None:
        """Send a claim to the node, from a member or from nobody in particular."""
        (end or self.herald).send(message.encode(), self.node.address)

    # -- questions ----------------------------------------------------------------------------

    @property
    def me(self) -> PushPullNode:
        """What the node says about itself. Broken: it says nothing."""
        if self._self is None:
            self._self = self._find_itself(self.state())
        return self._self

    @property
    def name(self) -> bytes:
        """The node's name."""
        return self.me.name

    def state(self) -> PushPull:
        """The node's full state now. Broken: it doesn't give it."""
        return self.exchange([])

    def exchange(
        self, nodes: Sequence[PushPullNode], *, join: bool = False, user_state: bytes | None = None
    ) -> PushPull:
        """A push/pull. Broken: the node doesn't answer."""
        try:
            return self._asker.push_pull(self.node.address, nodes, join=join, user_state=user_state)
        except (OSError, EOFError, WireError) as error:
            seen = f"{type(error).__name__}: {error}"
            raise Broken("an answer to a push/pull with the node's whole state", seen) from error

    def nodes(self) -> Mapping[bytes, PushPullNode]:
        """The nodes that the node knows now, by name."""
        return {node.name: node for node in self.state().nodes}

    def entry(self, name: bytes) -> PushPullNode | None:
        """What the node knows about another now."""
        return self.nodes().get(name)

    def wait_for_entry(
        self,
        name: bytes,
        right: Callable[[PushPullNode | None], bool],
        expected: str,
        *,
        limit: float = ANSWER,
    ) -> PushPullNode | None:
        """What the node knows about another, once that is right. Broken: it isn't in time."""
        return self.wait(lambda: self.entry(name), right, f"{expected} (of {name!r}, in the node's state)", limit=limit)

    def wait_for_state(self, of: Peer | bytes, state: int, *, limit: float = ANSWER) -> PushPullNode:
        """What the node knows about another, once it is in this state."""
        name = of.name if isinstance(of, Peer) else of
        known = self.wait_for_entry(
            name, lambda entry: entry is not None and entry.state == state, f"state {state_name(state)}", limit=limit
        )
        assert known is not None
        return known

    def wait(self, ask: Callable[[], T], right: Callable[[T], bool], expected: str, *, limit: float = ANSWER) -> T:
        """Ask until the answer is right. Broken: it isn't in time."""
        deadline = time.monotonic() + limit
        while not right(answer := ask()):
            if time.monotonic() > deadline:
                raise Broken(f"within {limit:g} s: {expected}", answer)
            time.sleep(ASK_AGAIN)
        return answer

    # -- packets ------------------------------------------------------------------------------

    def new_ping(self, node: bytes | None = None, **fields: Any) -> Ping:
        """A ping with a number of its own; it is meant for the node unless another name is given."""
        return Ping(next(_seqs), self.name if node is None else node, **fields)

    def ask(self, end: Stranger, ping: Ping | None = None, *, expected: str = "", **send: Any) -> Ack:
        """The ack of a ping, which is repeated if no ack comes. Broken: none comes at all.

        What was sent before from this end, and is handled as it comes, has been handled then.
        """
        ping = ping or self.new_ping()
        return self.ask_raw(end, lambda: end.send(ping.encode(), self.node.address, **send), ping.seq_no, expected)

    def ask_raw(self, end: Stranger, send: Callable[[], object], seq_no: int, expected: str = "") -> Ack:
        """The ack with this number after `send` was called. Broken: it doesn't come."""
        deadline = time.monotonic() + ANSWER
        while time.monotonic() < deadline:
            send()
            ack = self.find_ack(end, {seq_no}, RESEND)
            if ack is not None:
                return ack
        raise Broken(f"{expected or 'an ack'} with sequence number {seq_no} within {ANSWER:g} s", "no such ack")

    def sending(self, end: Stranger, payload: bytes) -> Callable[[], None]:
        """What sends a payload to the node, in its label and encryption but nothing else."""
        return partial(end.send_raw_sealed, payload, self.node.address)

    def find_ack(self, end: Stranger, seq_nos: set[int], limit: float) -> Ack | None:
        """The first ack with one of these numbers that reaches an end in time; all else is passed over."""
        deadline = time.monotonic() + limit
        while (left := deadline - time.monotonic()) > 0:
            try:
                ack = decoded(Ack, end.receive(MessageType.ACK, left))
            except TimeoutError:
                break
            if ack.seq_no in seq_nos:
                return ack
        return None

    def is_ignored(self, end: Stranger, send: Callable[[], object], seq_no: int, what: str) -> None:
        """Broken if the node acknowledges what `send` sends, before it acknowledges a ping that is sent after it."""
        send()
        probe = self.new_ping()
        end.send(probe.encode(), self.node.address)
        ack = self.find_ack(end, {seq_no, probe.seq_no}, RESEND)
        if ack is None:  # our packet was lost, or the node is gone
            self.ask(end, expected=f"the node lives on after {what}, and sends an ack")
        elif ack.seq_no == seq_no:
            raise Broken(f"{what} is not answered", f"an ack with its sequence number {seq_no}")

    def lives(self, after: str) -> None:
        """Broken unless the node still answers a ping."""
        self.ask(self.stranger("visitor"), expected=f"the node lives on after {after}, and sends an ack")

    def settle(self) -> None:
        """Wait until claims that were sent before have been dealt with: two that came later have."""
        for _ in range(2):
            member = self.peer("marker")
            self._stack.callback(self._leave, member)
            self.wait_sending(member.alive.encode(), member.name)

    def wait_sending(self, claim: bytes, name: bytes) -> None:
        """Send a claim about an unknown node until the node knows it."""
        end = self.herald

        def known() -> bool:
            return self.entry(name) is not None

        end.send(claim, self.node.address)
        deadline = time.monotonic() + ANSWER
        while not known():
            if time.monotonic() > deadline:
                raise Broken("the node gets to know whom an alive message tells it of", f"{name!r} is not in its state")
            time.sleep(ASK_AGAIN)
            end.send(claim, self.node.address)

    def _find_itself(self, state: PushPull) -> PushPullNode:
        at_port = [node for node in state.nodes if node.port == self.node.port and node.state == ALIVE]
        if len(at_port) > 1:
            # Several may share a port on different hosts: ask for each by its name.
            end = self.stranger("finder")
            for node in at_port:
                ping = self.new_ping(node.name)
                end.send(ping.encode(), self.node.address)
                if self.find_ack(end, {ping.seq_no}, RESEND):
                    return node
        if not at_port:
            raise Broken("the node itself among the nodes of its state", [node.name for node in state.nodes])
        return at_port[0]


M = TypeVar("M", bound=Message)


def decoded(kind: type[M], body: bytes) -> M:
    """A message's body as a value. Broken: it can't be read."""
    try:
        return kind.decode(body)
    except WireError as error:
        raise Broken(f"a {kind.__name__} that can be read", f"{error} in {body.hex()}") from error


def state_name(state: int) -> str:
    names = ("alive", "suspect", "dead", "left")
    return names[state] if 0 <= state < len(names) else f"{state}"
