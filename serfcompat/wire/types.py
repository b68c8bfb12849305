"""Numbers that both wire protocols are made of: message types, flags and limits."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class MessageType(IntEnum):
    """The first byte of a memberlist message (spec memberlist §3.1)."""

    PING = 0
    INDIRECT_PING = 1
    ACK = 2
    SUSPECT = 3
    ALIVE = 4
    DEAD = 5
    PUSH_PULL = 6
    "Streams only."
    COMPOUND = 7
    "Packets only."
    USER = 8
    COMPRESS = 9
    ENCRYPT = 10
    "Streams only; an encrypted packet has no type byte."
    NACK = 11
    CRC = 12
    "Packets only."
    ERROR = 13
    "Only as an answer on a stream."
    FETCH = 229
    "Streams only, and not memberlist's: see `wire.large_answer`."
    LABEL = 244
    "The label header, before everything else."


class SerfMessageType(IntEnum):
    """The first byte of a Serf message (spec serf §2.1)."""

    LEAVE = 0
    JOIN = 1
    PUSH_PULL = 2
    "Not gossiped: the user state of memberlist's push/pull."
    USER_EVENT = 3
    QUERY = 4
    QUERY_RESPONSE = 5
    CONFLICT_RESPONSE = 6
    KEY_REQUEST = 7
    KEY_RESPONSE = 8
    RELAY = 9


class QueryFlag(IntFlag):
    """Bits of the flags of a query, and of a response to it (spec serf §2.1)."""

    ACK = 1
    "On a query: acknowledge that you got it. On a response: this is the acknowledgement."
    NO_BROADCAST = 2
    "Do not pass this query on."
    LARGE = 1 << 30
    "Not Serf's: the asker can fetch large answers (see `wire.large_answer`). Go passes the bit on and ignores it."
    EVENT = 1 << 31
    """Not Serf's: a user event for the members that the filters choose, wants no answer. Go passes the bit on
    unchanged, and takes the message for a query."""


class FilterType(IntEnum):
    """The first byte of a query filter (spec serf §6.2)."""

    NODE = 0
    TAG = 1


COMPRESS_LZW = 0
"The only `algo` of a compress message (spec memberlist §4.4)."
TAG_MAGIC = 0xFF
"The first byte of node metadata that carries tags; anything else is a bare role (spec serf §1.4)."
PING_VERSION = 1
"The first byte of an ack's payload that carries a coordinate (spec serf §10.8)."

_MIB = 1 << 20

MAX_PARTS = 255
"Messages in one compound: the count is one byte (spec memberlist §1.1)."
MAX_DECOMPRESSED = 40 * _MIB
"Bytes that one compress message may unfold to (spec memberlist §4.5)."
MAX_FRAME = 20 * _MIB
"Bytes of an encrypted stream frame after its length (spec memberlist §2.4)."
WARN_FRAME = 12_582_912
"Bytes of an encrypted frame that deserve a warning: 60 % of the limit (spec memberlist §2.4)."
MAX_PUSH_PULL_NODES = 1 << 20
"Node states in one push/pull (spec memberlist §2.6)."
MAX_USER_STATE = 20 * _MIB
"Bytes of user state in one push/pull (spec memberlist §2.6)."
MAX_USER_MSG = 20 * _MIB
"Bytes of one user message on a stream (spec memberlist §2.7)."
MAX_NESTING = 1023
"Levels of msgpack containers in one value, the outermost included (spec memberlist §2.9)."
