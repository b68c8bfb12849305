"""The decoders of the wire layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from zlib import crc32

from serfcompat.errors import WireError
from serfcompat.wire import label, lzw, security
from serfcompat.wire.aead import aead
from serfcompat.wire.compress import wrap
from serfcompat.wire.large_answer import DIGEST_SIZE, MAX_ANSWER, PIECE, Fetch, Reference
from serfcompat.wire.layers import Layers
from serfcompat.wire.packet import MAX_MESSAGES, build, compound, compounds, peel
from serfcompat.wire.serf_messages import ConflictResponse, NodeFilter, Relay, decode_tags, encode_tags
from serfcompat.wire.stream import StreamReader, label_header, push_pull_message, seal, user_message
from serfcompat.wire.types import MAX_DECOMPRESSED, MessageType
from tests.fuzz import corpus
from tests.fuzz.mutate import MAX_SIZE
from tests.fuzz.target import Target
from tests.vectors.test_messages import STRUCTS

KEYS = [bytes(range(16)), bytes(range(32))]
NONCE = b"twelve bytes"
LABEL = b"a label"
RECEIVERS = {
    "plain": Layers(),
    "label": Layers(label=LABEL),
    "keys": Layers(keys=KEYS),
    "label+keys": Layers(label=LABEL, keys=KEYS),
    "version 0": Layers(keys=KEYS[1:], encryption_version=0),
    "migrating": Layers(keys=KEYS, verify_incoming=False, verify_outgoing=False),
    "label taken off": Layers(label=LABEL, skip_inbound_label_check=True),
}
LZW_LIMIT = 1 << 20
FETCHES = [Fetch(digest, at) for digest in (bytes(range(DIGEST_SIZE)), b"", None) for at in (0, PIECE, MAX_ANSWER, -1)]
REFERENCES = [Reference(bytes(range(DIGEST_SIZE)), size) for size in (0, 1025, PIECE, MAX_ANSWER)]


def wire_targets() -> Iterator[Target]:
    yield from _messages()
    yield from _raw_layers()
    yield from _packets()
    yield from _streams()
    yield from _bombs()


# -- messages --------------------------------------------------------------------------------------


def _messages() -> Iterator[Target]:
    bodies = corpus.bodies()
    classes: dict[str, Any] = {
        **STRUCTS,
        "serf conflictResponse or nil": ConflictResponse,
        "serf relay": Relay,
        "serf filterNode": NodeFilter,
        "fetch": Fetch,
    }
    bodies["serf conflictResponse or nil"] = [*bodies["serf conflictResponse"], b"\xc0"]
    bodies["fetch"] = [fetch.encode()[1:] for fetch in FETCHES]
    for kind, cls in classes.items():
        yield Target(kind, _decodes(cls), bodies[kind], weight=1)
    tags = bodies["serf tags"] + bodies["serf tagsLegacy"]
    yield Target("serf tags", _read_tags, tags, weight=2)
    yield Target("reference", _read_reference, [reference.encode() for reference in REFERENCES], weight=1)


def _decodes(cls: Any) -> Callable[[bytes], None]:
    type_size = 0 if cls.TYPE is None else 1

    def run(body: bytes) -> None:
        written = cls.decode(body).encode()
        # What was read once can be written, and is read as the same. Compared as bytes: NaN is not itself.
        assert _written_again(cls, written[type_size:]) == written, "is not read as it was written"

    return run


def _written_again(cls: Any, body: bytes) -> Any:
    try:
        return cls.decode(body).encode()
    except WireError as error:
        raise AssertionError("what was written can't be read") from error


def _read_tags(meta: bytes) -> None:
    tags, error = decode_tags(meta)
    if error is not None:
        raise error
    assert decode_tags(encode_tags(tags)) == (tags, None), "tags are not read as they were written"


def _read_reference(payload: bytes) -> None:
    reference = Reference.parse(payload)
    if reference is None:
        raise WireError("an ordinary answer")
    assert reference.size <= MAX_ANSWER, "more than the limit"
    assert Reference.parse(reference.encode()) == reference, "is not read as it was written"


# -- labels, encryption, compression ---------------------------------------------------------------


def _raw_layers() -> Iterator[Target]:
    packets = corpus.packets()
    envelopes = [security.encrypt(n % 2, KEYS[n % 2], NONCE, data, LABEL) for n, data in enumerate(packets[:40])]
    yield Target("label", _split_label, packets, weight=1)
    yield Target("envelope", _decrypt, envelopes, weight=1)
    yield Target("padding", _decrypt, [bytes(range(n)) for n in range(40)], weight=1, wrap=_version_0_unpadded)
    yield Target("lzw", _decompress, [*corpus.lzw(), lzw.compress(bytes(LZW_LIMIT + 1))], weight=5)


def _split_label(data: bytes) -> None:
    found, rest = label.split(data)
    assert label.header(found) + rest == data, "the parts are not the whole"


def _decrypt(data: bytes) -> None:
    assert len(security.decrypt(KEYS, data, LABEL)) <= len(data), "more came out than went in"


def _version_0_unpadded(plaintext: bytes) -> bytes:
    """Whoever has the key can leave out the padding, or put nonsense there."""
    return b"\0" + NONCE + aead().seal(KEYS[0], NONCE, plaintext, LABEL)


def _decompress(data: bytes) -> None:
    payload = lzw.decompress(data, LZW_LIMIT)
    assert len(payload) <= LZW_LIMIT, "more than the limit"
    if len(payload) <= 1024:
        try:
            again = lzw.decompress(lzw.compress(payload), LZW_LIMIT)
        except WireError as error:
            raise AssertionError("what was written can't be read") from error
        assert again == payload, "is not read as it was written"


# -- packets ---------------------------------------------------------------------------------------


def _packets() -> Iterator[Target]:
    packets = corpus.packets()
    messages = corpus.messages("memberlist")
    payloads = messages + [part for size in (2, 7, 255) for part in compounds(messages[: 4 * size : 4])]
    for name, layers in RECEIVERS.items():
        ours = [_builds(layers)(payload) for payload in payloads[::10]]
        yield Target(f"packet, {name}", _peels(layers), packets + ours, weight=1)
        if name != "label taken off":
            yield Target(f"payload, {name}", _peels_whole(layers), payloads, weight=1.5, wrap=_builds(layers))


def _peels(layers: Layers) -> Callable[[bytes], None]:
    def run(datagram: bytes) -> None:
        peeled = peel(datagram, layers)
        assert len(peeled.messages) <= MAX_MESSAGES, "too many messages"
        assert all(peeled.messages), "an empty message"
        assert sum(map(len, peeled.messages)) <= MAX_DECOMPRESSED + len(datagram), "more than the limit"
        if not peeled.messages:
            raise WireError("nothing", "left over")

    return run


def _builds(layers: Layers) -> Callable[[bytes], bytes]:
    return lambda payload: build(payload, layers, crc=True, nonce=lambda: NONCE)


def _peels_whole(layers: Layers) -> Callable[[bytes], None]:
    peels = _peels(layers)

    def run(datagram: bytes) -> None:
        drops = peel(datagram, layers).drops
        outer = [drop for drop in drops if drop.startswith(("label", "decrypt", "crc"))]
        assert not outer, f"the layers that we put on don't come off: {outer}"
        peels(datagram)

    return run


# -- streams ---------------------------------------------------------------------------------------


def _streams() -> Iterator[Target]:
    streams = corpus.streams()
    messages = corpus.stream_messages() + [fetch.encode() for fetch in FETCHES]
    for name, layers in RECEIVERS.items():
        ours = [_seals(layers)(message) for message in messages]
        yield Target(f"request, {name}", _serves(layers), streams + ours, weight=1)
        if name != "label taken off":
            yield Target(f"sealed request, {name}", _serves(layers), messages, weight=1, wrap=_seals(layers))
    yield Target("answer", _reads_answer, messages, weight=1)


def _seals(layers: Layers) -> Callable[[bytes], bytes]:
    return lambda message: label_header(layers.label) + seal(message, layers, lambda: NONCE)


def _in_pieces(data: bytes, size: int) -> Callable[[int], bytes]:
    at = 0

    def recv(most: int) -> bytes:
        nonlocal at
        piece = data[at : at + min(size, most)]
        at += len(piece)
        return piece

    return recv


def _reader(data: bytes, layers: Layers) -> StreamReader:
    """A stream that delivers the bytes in pieces of a size that the bytes themselves decide."""
    return StreamReader(_in_pieces(data, 1 + crc32(data) % 61 + len(data) // 64), layers)


def _serves(layers: Layers) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        reader = _reader(data, layers)
        reader.read_label_header()
        _read_message(reader)

    return run


def _reads_answer(data: bytes) -> None:
    _read_message(_reader(data, RECEIVERS["plain"]))


def _read_message(reader: StreamReader) -> None:
    try:
        kind = reader.read_type()
    except EOFError:  # as documented, and only here
        raise WireError("eof") from None
    read: dict[int, Callable[[], object]] = {
        MessageType.PUSH_PULL: reader.read_push_pull,
        MessageType.USER: reader.read_user_message,
        MessageType.PING: reader.read_ping,
        MessageType.ACK: reader.read_ack,
        MessageType.ERROR: reader.read_error,
        MessageType.FETCH: reader.read_fetch,
    }
    if kind not in read:
        raise WireError("invalid_type")
    read[kind]()


# -- bombs -----------------------------------------------------------------------------------------


def _bombs() -> Iterator[Target]:
    """Few bytes that stand for many, in one another and beside one another."""
    small, large = wrap(bytes(1 << 16)), wrap(bytes(3 << 19))
    parts = 65_000 // len(large)
    bombs = [
        large,
        compound([large] * parts),
        compound([small] * (65_000 // len(small))),
        wrap(compound([small] * 255)),
    ]
    bombs += [wrap(compound([wrap(bombs[-1])] * 20)), wrap(wrap(wrap(large))), compound([bytes((7, 1, 0, 1, 8))] * 255)]
    bombs = [bomb for bomb in bombs if len(bomb) < MAX_SIZE]
    requests = [wrap(user_message(bytes(1 << 19))), wrap(push_pull_message(False, [], bytes(1 << 19)))]
    yield Target("bomb in a packet", _peels(RECEIVERS["plain"]), bombs, weight=0.06)
    yield Target("bomb in a request", _serves(RECEIVERS["plain"]), bombs + requests, weight=0.06)
