"""Complaints about bytes from outside: once per source and cause, in words that name the likely mistake.

A wrong key or label makes a node throw away every packet of a neighbour. One clear line
helps; a line per packet fills the disk. What is silenced is still counted.
"""

from __future__ import annotations

import logging
from collections import OrderedDict

_REMEMBERED = 512
"""Sources and causes remembered. Source addresses are easily forged: once there were that many, only every
1st, 2nd, 4th, 8th … new one is worth a line."""

_CAUSES = {
    "decrypt": "packet could not be decrypted: is the sender's encryption key the same as ours?",
    "no_key": "stream could not be decrypted: is the sender's encryption key the same as ours?",
    "plaintext_refused": "plain stream refused: we have an encryption key, the sender seems to have none",
    "enc_unconfigured": "encrypted stream refused: the sender has an encryption key, we have none",
    "label_mismatch": "another label than ours: the sender belongs to another cluster, or has no or a wrong label",
    "label_double": "a labelled packet where the transport has already removed the label",
    "label_malformed": "malformed label header",
    "crc": "bad checksum",
    "compound_truncated": "truncated compound, so many messages are missing",
    "handoff_full": "handler queue full, dropping a message of type",
    "unsupported": "message of a type that is not supported in packets",
    "ping_wrong_node": "ping for a name that isn't ours: does another node's table hold our address?",
    "undecodable ping": "undecodable ping: has the sender an encryption key that we have not?",
    "undecodable indirect_ping": "undecodable indirect ping: has the sender an encryption key that we have not?",
}


class OncePerSource:
    """A bounded memory of what was already said about whom."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._beyond = 0
        "Sources that came when the memory was full."

    def about(self, reason: str, source: str, *, detail: str = "") -> None:
        """Log the cause `reason`, its details behind a colon, from `source`, unless that was done already."""
        kind, _, more = reason.partition(":")
        said = (kind, source.rpartition(":")[0])
        if said in self._said:
            return
        self._said[said] = None
        if len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
            self._beyond += 1
            if self._beyond & (self._beyond - 1):
                return
        cause = _CAUSES.get(kind, kind.replace("_", " "))
        detail = detail or more
        self._log.error(
            "memberlist: %s (from %s%s; further ones are only counted)", cause, source, detail and f": {detail}"
        )
