"""What went to and fro during a case, so that a failure can show it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Literal

from serfcompat.conformance.words import packet_lines, stream_lines
from serfcompat.wire.layers import Layers

MAX_SHOWN = 16
"Packets and streams of an exchange that a report shows: the last ones."
ASKER = "asker"
"Who asks for the node's state, over and over."
MAX_KEPT = 2000
"Of one case; what came before is forgotten."


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes on the wire."""

    at: float
    "Seconds since the case began."
    who: str
    "The kit's end of it."
    sent: bool
    "By the kit; else by the node under test."
    kind: Literal["packet", "stream"]
    data: bytes
    layers: Layers

    def lines(self) -> list[str]:
        """In words, the first line with time and direction."""
        read = packet_lines if self.kind == "packet" else stream_lines
        return [self.head(), *(f"    {line}" for line in read(self.data, self.layers))]

    def head(self) -> str:
        """Time, direction and size."""
        way = f"{self.who} -> node" if self.sent else f"node -> {self.who}"
        return f"{self.at:7.3f} s  {way}, {self.kind} of {len(self.data)} bytes"


class Trace:
    """Collects what several ends send and receive. Any thread may add."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._kept: list[Sent] = []

    def add(self, who: str, sent: bool, kind: Literal["packet", "stream"], data: bytes, layers: Layers) -> None:
        entry = Sent(time.monotonic() - self._began, who, sent, kind, data, layers)
        with self._lock:
            self._kept.append(entry)
            if len(self._kept) > MAX_KEPT:
                del self._kept[: MAX_KEPT // 2]

    def entries(self) -> list[Sent]:
        with self._lock:
            return list(self._kept)

    def lines(self, last: int = MAX_SHOWN) -> list[str]:
        """The last packets and streams in words; what was asked again and again only the last time."""
        kept = self.entries()
        asked = [entry for entry in kept if entry.who == ASKER]
        kept = [entry for entry in kept if entry.who != ASKER or entry in asked[-2:]]
        lines = [line for entry in kept[-last:] for line in entry.lines()]
        hidden = len(kept) - last
        return [f"({hidden} earlier packets and streams are not shown)", *lines] if hidden > 0 else lines
