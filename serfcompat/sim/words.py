"""Messages, timers and effects in a few words, for transcripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

from serfcompat.errors import WireError
from serfcompat.serf.effects import Deliver, DeliverAck, DeliverResponse
from serfcompat.serf.events import MemberEvent
from serfcompat.serf.text import shown
from serfcompat.sim.host import Host
from serfcompat.sim.units import duration_text
from serfcompat.swim.effects import CancelTimer, Emit, SendPacket, SetTimer, StartPushPull, StartTcpPing, TimerKey
from serfcompat.swim.events import NodeConflict, NodeJoined, NodeLeft, NodeUpdated
from serfcompat.wire.address import Address
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, Alive, Dead, IndirectPing, Nack, Ping, Suspect
from serfcompat.wire.packet import peel
from serfcompat.wire.types import MessageType, SerfMessageType


def packet_words(data: bytes, layers: Layers) -> str:
    """Size and checksum, which pin every byte, and the messages inside."""
    inside = ", ".join(message_words(message) for message in peel(data, layers).messages)
    return f"{len(data)}B #{crc32(data):08x} [{inside}]"


def message_words(message: bytes) -> str:
    """One memberlist message: its kind, and whom it is about."""
    kind, body = message[0], message[1:]
    try:
        match kind:
            case MessageType.PING:
                return f"ping {Ping.decode(body).seq_no}"
            case MessageType.INDIRECT_PING:
                request = IndirectPing.decode(body)
                return f"indirect-ping {request.seq_no} of {shown(request.node)}"
            case MessageType.ACK:
                return f"ack {Ack.decode(body).seq_no}"
            case MessageType.NACK:
                return f"nack {Nack.decode(body).seq_no}"
            case MessageType.ALIVE:
                alive = Alive.decode(body)
                return f"alive {shown(alive.node)}@{alive.incarnation}"
            case MessageType.SUSPECT:
                suspect = Suspect.decode(body)
                return f"suspect {shown(suspect.node)}@{suspect.incarnation} by {shown(suspect.from_)}"
            case MessageType.DEAD:
                dead = Dead.decode(body)
                return f"dead {shown(dead.node)}@{dead.incarnation} by {shown(dead.from_)}"
            case MessageType.USER if body and body[0] <= SerfMessageType.RELAY:
                return "serf " + SerfMessageType(body[0]).name.lower().replace("_", "-")
    except WireError as error:
        return f"undecodable {kind}: {error.reason}"
    return f"type {kind}"


def cause_words(host: Host, cause: str, detail: Any) -> str:
    """Why a step was made."""
    match cause, detail:
        case "packet", (source, bytes(data)):
            return f"packet from {source} {packet_words(data, host.engine.layers)}"
        case "timer", tuple(key):
            return f"timer {key_words(key)}"
    return f"{cause} {detail}"


def key_words(key: TimerKey) -> str:
    return "/".join(shown(part) if isinstance(part, bytes) else str(part) for part in key)


def effect_words(host: Host, effect: Any, now_ns: int, name: Callable[[Address], str]) -> str:
    """What is to be done. Times count from now, on the host's clock."""
    match effect:
        case SendPacket(data, to):
            return f"send {name(to)} {packet_words(data, host.engine.layers)}"
        case SetTimer(key, at_ns):
            return f"set {key_words(key)} in {duration_text(at_ns - host.clock.read(now_ns))}"
        case CancelTimer(key):
            return f"cancel {key_words(key)}"
        case StartPushPull(to):
            return f"push-pull {name(to)}"
        case StartTcpPing(seq_no=seq_no, to=to):
            return f"tcp-ping {seq_no} {name(to)}"
        case Emit(NodeJoined(node) | NodeLeft(node) | NodeUpdated(node) | NodeConflict(_, node) as event):
            return f"{type(event).__name__} {shown(node.name)} {node.state.name.lower()}@{node.incarnation}"
        case Deliver(MemberEvent(kind, members)):
            return f"{kind} {' '.join(member.name for member in members)}"
        case Deliver(event):
            return str(event)
        case DeliverAck(from_=from_) | DeliverResponse(from_=from_):
            return f"{type(effect).__name__} from {from_}"
    return type(effect).__name__
