"""The messages of memberlist, bytes and values side by side (spec memberlist §3.3).

Fields are in Go's declaration order, which is also the order of a body given as an array.
How each is written and read, and what else is accepted, is the business of gomsgpack.py and gostruct.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from serfcompat.wire.gomsgpack import BOOL, BYTES, INT, TEXT, U8, U16, U32, omitempty
from serfcompat.wire.gostruct import Message, go_struct
from serfcompat.wire.types import MessageType


@go_struct(SeqNo=U32, Node=TEXT, SourceAddr=omitempty(BYTES), SourcePort=omitempty(U16), SourceNode=omitempty(TEXT))
@dataclass(frozen=True, slots=True)
class Ping(Message):
    """Are you there? Answered with an `Ack` to the source address."""

    TYPE: ClassVar = MessageType.PING

    seq_no: int
    "Chosen by the sender, 0 to 2**32 - 1; the ack repeats it."
    node: bytes
    "Name of the node that is meant. Empty: whoever gets it."
    source_addr: bytes | None = None
    "The sender's advertised address, 4 or 16 bytes. None or empty: what the packet came from (before v0.1.8)."
    source_port: int = 0
    source_node: bytes = b""


@go_struct(
    SeqNo=U32,
    Target=BYTES,
    Port=U16,
    Node=TEXT,
    Nack=BOOL,
    SourceAddr=omitempty(BYTES),
    SourcePort=omitempty(U16),
    SourceNode=omitempty(TEXT),
)
@dataclass(frozen=True, slots=True)
class IndirectPing(Message):
    """Ping `node` for me, I get no answer."""

    TYPE: ClassVar = MessageType.INDIRECT_PING

    seq_no: int
    "The requester's; the relay pings with a number of its own."
    target: bytes | None
    "Address of the node to ping, 4 or 16 bytes."
    port: int
    node: bytes
    "Name of the node to ping."
    nack: bool
    "Tell me with a `Nack` if you get no answer either."
    source_addr: bytes | None = None
    "The requester's advertised address, 4 or 16 bytes."
    source_port: int = 0
    source_node: bytes = b""


@go_struct(SeqNo=U32, Payload=BYTES)
@dataclass(frozen=True, slots=True)
class Ack(Message):
    """I am here."""

    TYPE: ClassVar = MessageType.ACK

    seq_no: int
    payload: bytes | None
    "What the application rides along; Serf puts its coordinate there."


@go_struct(SeqNo=U32)
@dataclass(frozen=True, slots=True)
class Nack(Message):
    """I got no answer from your target, but I did get your indirect ping."""

    TYPE: ClassVar = MessageType.NACK

    seq_no: int


@go_struct(Error=TEXT)
@dataclass(frozen=True, slots=True)
class ErrorReply(Message):
    """Why a server refuses a stream (spec memberlist §2.5)."""

    TYPE: ClassVar = MessageType.ERROR

    error: bytes


@go_struct(Incarnation=U32, Node=TEXT, From=TEXT)
@dataclass(frozen=True, slots=True)
class Suspect(Message):
    """A node's claim that another one stopped answering."""

    TYPE: ClassVar = MessageType.SUSPECT

    incarnation: int
    "The suspected life of `node`, 0 to 2**32 - 1. Lower than the known one: stale."
    node: bytes
    "Name of the accused. Raw bytes: upstream never checks that names are UTF-8."
    from_: bytes
    "Name of the accuser. Each distinct accuser shortens the suspicion timer once."


@go_struct(Incarnation=U32, Node=TEXT, Addr=BYTES, Port=U16, Meta=BYTES, Vsn=BYTES)
@dataclass(frozen=True, slots=True)
class Alive(Message):
    """A node's claim about itself, passed on by all."""

    TYPE: ClassVar = MessageType.ALIVE

    incarnation: int
    "0 to 2**32 - 1; the node itself raises it to refute what is said about it."
    node: bytes
    addr: bytes | None
    "4 or 16 bytes. ⚠ IPv4 may come v4-mapped in 16; keep it, addresses are compared as bytes."
    port: int
    meta: bytes | None
    "What the application tells about the node, at most 512 bytes; Serf puts the tags there."
    vsn: bytes | None
    "Protocol min, max and current, then the same of the delegate: 6 bytes, or none from very old nodes."


@go_struct(Incarnation=U32, Node=TEXT, From=TEXT)
@dataclass(frozen=True, slots=True)
class Dead(Message):
    """A node's claim that another one is dead or, from the node itself, that it left."""

    TYPE: ClassVar = MessageType.DEAD

    incarnation: int
    node: bytes
    from_: bytes
    "Who says so. Equal to `node`: it left on purpose."


@go_struct(Nodes=INT, UserStateLen=INT, Join=BOOL)
@dataclass(frozen=True, slots=True)
class PushPullHeader(Message):
    """Opens a push/pull; `nodes` node states and `user_state_len` bytes follow (spec memberlist §2.6)."""

    TYPE: ClassVar = MessageType.PUSH_PULL

    nodes: int
    "⚠ Signed: may arrive negative. The reader of streams has the limits."
    user_state_len: int
    "⚠ Signed, too."
    join: bool
    "True for a join, false for the periodic exchange."


@go_struct(Name=TEXT, Addr=BYTES, Port=U16, Meta=BYTES, Incarnation=U32, State=INT, Vsn=BYTES)
@dataclass(frozen=True, slots=True)
class PushPullNode(Message):
    """What one node knows about another, in a push/pull. Has no type byte. ⚠ `Name` here, `Node` in `Alive`."""

    name: bytes
    addr: bytes | None
    port: int
    meta: bytes | None
    incarnation: int
    state: int
    "0 alive, 1 suspect, 2 dead, 3 left; others are to be ignored."
    vsn: bytes | None


@go_struct(UserMsgLen=INT)
@dataclass(frozen=True, slots=True)
class UserMsgHeader(Message):
    """Opens a user message on a stream; `user_msg_len` bytes follow (spec memberlist §2.7)."""

    TYPE: ClassVar = MessageType.USER

    user_msg_len: int
    "⚠ Signed: may arrive negative."


@go_struct(Algo=U8, Buf=BYTES)
@dataclass(frozen=True, slots=True)
class Compress(Message):
    """Other messages, compressed (spec memberlist §4.4)."""

    TYPE: ClassVar = MessageType.COMPRESS

    algo: int
    "0 for LZW; there is no other."
    buf: bytes | None
