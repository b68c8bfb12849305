"""Streams as the ring serves and makes them, over connections in memory (spec memberlist §2)."""

import random
from dataclasses import dataclass, field

import pytest

from serfcompat.errors import MergeRefused
from serfcompat.runtime import tcp
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.effects import Emit
from serfcompat.swim.engine import Swim
from serfcompat.swim.events import MessageReceived, NodeJoined, RemoteStateReceived
from serfcompat.swim.hooks import Hooks
from serfcompat.swim.metrics import CountingMetrics
from serfcompat.wire.address import Address
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, ErrorReply, Ping, PushPullNode
from serfcompat.wire.stream import StreamReader, label_header, push_pull_message, seal, user_message
from serfcompat.wire.types import MessageType

PEER = Address(b"\x0a\x00\x00\x09", 4711)
KEY, OTHER_KEY = b"k" * 16, b"o" * 16
VSN = bytes((1, 5, 2, 0, 0, 0))
OTHER = PushPullNode(b"other", b"\x0a\x00\x00\x02", 7946, None, 1, 0, VSN)


def nonce():
    return b"n" * 12


class Wire:
    """A connection whose other end has said all it will ever say."""

    def __init__(self, said: bytes, piece: int = 1 << 20) -> None:
        self._said = said
        self._piece = piece
        self.sent = b""
        self.heard = 0

    def recv(self, size: int) -> bytes:
        piece = self._said[self.heard : self.heard + min(size, self._piece)]
        self.heard += len(piece)
        return piece

    def sendall(self, data: bytes) -> None:
        self.sent += data


@dataclass
class Side:
    """A node that serves streams, and what came of it."""

    config: MemberlistConfig = field(default_factory=lambda: MemberlistConfig.lan(name="self"))
    hooks: Hooks = field(default_factory=Hooks)

    def __post_init__(self) -> None:
        self.metrics = CountingMetrics()
        self.swim = Swim(
            self.config,
            advertise=Address(b"\x7f\x00\x00\x01", 7946),
            dice=random.Random(1),
            nonce=nonce,
            hooks=self.hooks,
            metrics=self.metrics,
        )
        self.swim.start(0)
        self.gate = tcp.Gate()
        self.events = []
        self.errors = []
        self.warnings = []
        self.renewed = 0
        self.sinks = tcp.Sinks(
            user_message=lambda payload: self._take(self.swim.on_user_message(payload, 0)),
            merge=lambda remote, join: self._take(self.swim.merge_remote_state(remote, join, 0)),
            log_error=self.errors.append,
            log_warning=self.warnings.append,
            nonce=nonce,
            count=self.metrics.incr,
            sample=self.metrics.sample,
            renew_deadline=self._renew,
        )

    def _renew(self) -> None:
        self.renewed += 1

    def _take(self, effects) -> None:
        self.events += [effect.event for effect in effects if isinstance(effect, Emit)]

    def serve(self, said: bytes, piece: int = 1 << 20) -> Wire:
        wire = Wire(said, piece)
        tcp.serve(wire, PEER, self.swim, self.sinks, self.gate)
        return wire

    def drops(self) -> dict[str, float]:
        prefix = "serfcompat.drop."
        return {k.removeprefix(prefix): v for k, v in self.metrics.counters.items() if k.startswith(prefix)}


def side(**config) -> Side:
    return Side(MemberlistConfig.lan(name="self", **config))


def dialled(message: bytes, layers: Layers) -> bytes:
    """What a Go node writes when it dials."""
    return label_header(layers.label) + seal(message, layers, nonce)


def reply(wire: Wire, layers: Layers) -> tuple[int, StreamReader]:
    reader = StreamReader(Wire(wire.sent).recv, layers)
    return reader.read_type(), reader


PLAIN = Layers(compress=False)


# -- what a server says ------------------------------------------------------------------------


@pytest.mark.statement("M-053", "M-059")
def test_an_encrypted_stream_without_keys_is_answered_with_an_error_in_clear():
    here = side()
    wire = here.serve(dialled(Ping(1, b"self").encode(), Layers(keys=(KEY,))))
    kind, reader = reply(wire, Layers())
    assert kind == MessageType.ERROR
    assert b"encr" in reader.read_error().error
    assert here.drops() == {"enc_unconfigured": 1}


@pytest.mark.statement("M-054")
def test_a_plain_stream_with_keys_is_answered_with_an_encrypted_error():
    here = side(secret_key=KEY)
    wire = here.serve(dialled(Ping(1, b"self").encode(), PLAIN))
    assert wire.sent[0] == MessageType.ENCRYPT
    kind, _ = reply(wire, Layers(keys=(KEY,)))
    assert kind == MessageType.ERROR
    assert here.drops() == {"plaintext_refused": 1}


@pytest.mark.statement("M-054")
def test_that_error_is_in_clear_while_outgoing_encryption_is_off():
    here = side(secret_key=KEY, gossip_verify_outgoing=False)
    wire = here.serve(dialled(Ping(1, b"self").encode(), PLAIN))
    assert wire.sent[0] in (MessageType.ERROR, MessageType.COMPRESS)


@pytest.mark.statement("M-046", "M-045")
def test_the_error_on_a_labelled_cluster_has_no_header_but_the_label_in_its_seal():
    here = side(secret_key=KEY, label=b"blue")
    wire = here.serve(label_header(b"blue") + seal(Ping(1, b"self").encode(), PLAIN, nonce))
    assert wire.sent[0] == MessageType.ENCRYPT
    kind, _ = reply(wire, Layers(keys=(KEY,), label=b"blue"))
    assert kind == MessageType.ERROR


@pytest.mark.statement("M-055")
def test_a_connection_closed_before_any_byte_is_silent():
    here = side()
    assert here.serve(b"").sent == b""
    assert here.drops() == {}


@pytest.mark.statement("M-055")
def test_with_a_label_even_that_is_noted():
    here = side(label=b"blue")
    assert here.serve(b"").sent == b""
    assert here.drops() == {"label_mismatch": 1}


@pytest.mark.statement("M-056")
def test_a_wrong_label_closes_without_a_word():
    here = side(label=b"blue")
    for said in (dialled(Ping(1, b"self").encode(), Layers(label=b"red")), dialled(Ping(1, b"self").encode(), PLAIN)):
        assert here.serve(said).sent == b""
    assert here.drops() == {"label_mismatch": 2}


@pytest.mark.parametrize("kind", [MessageType.ACK, MessageType.ENCRYPT, MessageType.ERROR, 77])
@pytest.mark.statement("M-057")
def test_unknown_types_close_without_a_word(kind):
    here = side(secret_key=KEY)
    assert here.serve(dialled(bytes((kind,)) + b"\x80", Layers(keys=(KEY,), compress=True))).sent == b""
    assert here.drops() == {"invalid_type": 1}


@pytest.mark.statement("M-057")
def test_a_doubly_compressed_message_closes_without_a_word():
    here = side()
    once = seal(Ping(1, b"self").encode(), Layers(), nonce)
    assert here.serve(seal(once, Layers(), nonce)).sent == b""
    assert here.drops() == {"invalid_type": 1}


@pytest.mark.statement("M-058")
def test_a_broken_push_pull_body_gives_no_error_reply():
    here = side()
    whole = push_pull_message(True, [OTHER], b"state")
    assert here.serve(whole[:-3]).sent == b""
    assert here.events == []
    assert here.drops() == {"remote_state": 1}


@pytest.mark.statement("M-072")
def test_a_ping_for_us_or_for_anybody_is_acknowledged_with_no_payload():
    here = Side(hooks=Hooks(ack_payload=lambda: b"not over streams"))
    for name in (b"self", b""):
        kind, reader = reply(here.serve(dialled(Ping(42, name).encode(), PLAIN)), PLAIN)
        assert kind == MessageType.ACK
        assert reader.read_ack() == Ack(42, None)


@pytest.mark.statement("M-072")
def test_a_ping_for_another_node_is_hung_up_on():
    here = side()
    assert here.serve(dialled(Ping(42, b"somebody else").encode(), PLAIN)).sent == b""
    assert here.drops() == {"ping_wrong_node": 1}


@pytest.mark.statement("M-073")
def test_a_compressed_ping_is_understood():
    kind, _ = reply(side().serve(dialled(Ping(42, b"self").encode(), Layers(compress=True))), Layers())
    assert kind == MessageType.ACK


@pytest.mark.statement("M-070")
def test_a_user_message_arrives_whole_and_an_empty_one_not_at_all():
    here = side()
    here.serve(dialled(user_message(b"hello"), PLAIN), piece=1)
    here.serve(dialled(user_message(b""), PLAIN))
    assert here.events == [MessageReceived(b"hello")]


@pytest.mark.statement("M-077")
def test_only_the_first_message_of_a_connection_is_read():
    here = side()
    here.serve(dialled(user_message(b"one"), PLAIN) + dialled(user_message(b"two"), PLAIN))
    assert here.events == [MessageReceived(b"one")]


@pytest.mark.statement("M-062", "M-063")
def test_our_state_goes_out_before_the_merge_and_echoes_the_join_flag():
    order = []
    for join in (True, False):
        here = Side(
            hooks=Hooks(local_state=lambda join: order.append("state"), merge=lambda nodes: order.append("merge"))
        )
        wire = here.serve(dialled(push_pull_message(join, [OTHER], None), PLAIN))
        kind, reader = reply(wire, PLAIN)
        assert kind == MessageType.PUSH_PULL
        assert reader.read_push_pull().join is join
    assert order == ["state", "merge", "state"]  # no merge hook without join


@pytest.mark.statement("M-062")
def test_our_state_goes_out_even_if_the_merge_is_refused():
    here = Side(hooks=Hooks(merge=lambda nodes: "not these"))
    wire = here.serve(dialled(push_pull_message(True, [OTHER], None), PLAIN))
    assert reply(wire, PLAIN)[0] == MessageType.PUSH_PULL
    assert here.events == []
    assert "not these" in here.errors[0]


@pytest.mark.statement("M-067")
def test_user_state_is_merged_only_if_there_is_some():
    here = side()
    here.serve(dialled(push_pull_message(True, [OTHER], None), PLAIN))
    assert [type(event) for event in here.events] == [NodeJoined]
    here.serve(dialled(push_pull_message(False, [OTHER], b"state"), PLAIN))
    assert here.events[1:] == [RemoteStateReceived(b"state", False)]


@pytest.mark.statement("M-069")
def test_the_127th_concurrent_push_pull_is_served_and_the_128th_refused():
    here = side()
    request = dialled(push_pull_message(True, [OTHER], None), PLAIN)
    for _ in range(126):
        here.gate.__enter__()
    assert here.serve(request).sent
    here.gate.__enter__()
    refused = here.serve(request)
    assert refused.sent == b""
    assert here.drops() == {"push_pull_limit": 1}
    here.gate.__exit__()
    assert here.serve(request).sent


@pytest.mark.statement("M-075", "M-076")
def test_the_deadline_is_renewed_when_we_send_our_state():
    here = side()
    here.serve(dialled(user_message(b"x"), PLAIN))
    assert here.renewed == 0
    here.serve(dialled(push_pull_message(True, [OTHER], None), PLAIN))
    assert here.renewed == 1
    answer = Wire(seal(push_pull_message(False, [OTHER], None), PLAIN, nonce))
    tcp.push_pull(answer, here.swim, here.sinks, join=True)
    assert here.renewed == 2


@pytest.mark.statement("M-052")
def test_a_large_frame_is_measured_and_warned_of_but_served():
    here = side(secret_key=KEY)
    big = Layers(keys=(KEY,), compress=False)
    here.serve(seal(user_message(b"x" * 12_582_912), big, nonce))
    assert [len(event.payload) for event in here.events] == [12_582_912]
    assert "limit" in here.warnings[0]
    assert here.metrics.samples["memberlist.size.remote"] == [12_582_912 + 18 + 29]


# -- what a client makes of the answer ---------------------------------------------------------


def ask(here: Side, answer: bytes, *, join: bool = True) -> Wire:
    wire = Wire(answer)
    tcp.push_pull(wire, here.swim, here.sinks, join=join)
    return wire


@pytest.mark.statement("M-045")
def test_a_dialler_writes_its_label_first():
    here = side(label=b"blue")
    wire = ask(here, seal(push_pull_message(False, [OTHER], None), Layers(label=b"blue"), nonce))
    assert wire.sent.startswith(b"\xf4\x04blue")


@pytest.mark.statement("M-059")
def test_an_error_reply_is_shown_to_the_caller():
    with pytest.raises(tcp.ExchangeFailed, match="remote error: boom"):
        ask(side(), seal(ErrorReply(b"boom").encode(), PLAIN, nonce))


@pytest.mark.parametrize(
    ("config", "answer", "says"),
    [
        ({}, b"", "closed the connection"),
        ({}, seal(Ack(1, None).encode(), PLAIN, nonce), "type 2"),
        ({}, seal(push_pull_message(True, [], None), Layers(keys=(KEY,)), nonce), "set the cluster's key"),
        ({"secret_key": KEY}, seal(push_pull_message(True, [], None), PLAIN, nonce), "not encrypted"),
        ({"secret_key": KEY}, seal(push_pull_message(True, [], None), Layers(keys=(OTHER_KEY,)), nonce), "another key"),
    ],
)
def test_what_goes_wrong_in_a_join_is_said_in_words_that_name_the_cause(config, answer, says):
    with pytest.raises(tcp.ExchangeFailed, match=says):
        ask(side(**config), answer)


def test_a_state_that_we_refuse_raises_and_merges_nothing():
    here = side()
    with pytest.raises(MergeRefused):
        ask(
            here,
            seal(
                push_pull_message(False, [PushPullNode(b"x", b"\x01\x01\x01\x01", 1, None, 1, 0, b"")], None),
                PLAIN,
                nonce,
            ),
        )
    assert here.events == []


@pytest.mark.parametrize(
    ("answer", "ok"),
    [
        (Ack(7, None).encode(), True),
        (Ack(8, None).encode(), False),
        (Ping(7, b"").encode(), False),
        (b"", False),
        (ErrorReply(b"no").encode(), False),
    ],
)
@pytest.mark.statement("M-074")
def test_a_tcp_ping_counts_only_with_an_ack_of_its_number(answer, ok):
    here = side()
    answer = seal(answer, PLAIN, nonce) if answer else b""
    assert tcp.tcp_ping(Wire(answer), Ping(7, b"x").encode(), 7, here.swim.layers, here.sinks) is ok


@pytest.mark.statement("M-071")
def test_a_user_message_is_sent_and_no_answer_is_read():
    here = side()
    wire = Wire(b"an answer that nobody reads")
    tcp.send_user(wire, b"hello", here.swim.layers, here.sinks)
    assert wire.heard == 0
    assert wire.sent
