"""The snapshot: alive members and clocks, remembered across restarts in a text file (spec serf §9).

Pure: `Snapshot.replay` reads what the file holds, and `record` and its like say what to
append. The file itself belongs to who performs the effects. The format has no header
and no escapes; one record a line.

Former peers and joined addresses, which upstream does not keep, are comments: it skips them, and
its compaction drops them.

⚠ Oddities that are upstream's and kept: nothing is flushed by a timer, only by a later
append; `clock:` lines follow even a `leave`; a compaction drops the `leave` line.
"""

from __future__ import annotations

import logging
import re
from typing import Self

from serfcompat.serf.effects import AppendSnapshot, ReplaceSnapshot, SerfEffect, SyncSnapshot
from serfcompat.serf.events import Event, EventType, MemberEvent, QueryEvent, UserEvent
from serfcompat.serf.former_peers import FormerPeers
from serfcompat.serf.lamport import LTIME_MAX
from serfcompat.serf.text import raw, shown, text

FLUSH_INTERVAL_NS = 500_000_000
CLOCK_INTERVAL_NS = 500_000_000
RECOVERY_INTERVAL_NS = 30_000_000_000
"After a failed write, how long to wait before the next attempt to compact one's way out of it."
BYTES_PER_NODE = 128
COMPACTION_FACTOR = 2
MIN_COMPACT_SIZE = 128 * 1024

_MOST_SEEDS = 16

_DIGITS = re.compile(rb"[0-9]+")
_NEVER_NS = -(1 << 62)


class Snapshot:
    """What the file says, while the node lives."""

    def __init__(
        self, *, rejoin_after_leave: bool, min_compact_size: int = MIN_COMPACT_SIZE, log: logging.Logger
    ) -> None:
        self.alive: dict[bytes, bytes] = {}
        "Members seen alive, ourselves among them: name → `host:port` as text."
        self.former: dict[bytes, bytes] = {}
        "Members that failed or left, the newest last; in the file as comments, which upstream skips."
        self.seeds: list[str] = []
        "Addresses joined, as the user wrote them; comments as well."
        self.clock = 0
        self.event_clock = 0
        self.query_clock = 0
        self.size = 0
        "Bytes in the file, with what still is in its buffer."
        self.torn = False
        "The file ends in the middle of a line."
        self.leaving = False
        self._rejoin_after_leave = rejoin_after_leave
        self._min_compact_size = min_compact_size
        self._log = log
        self._flushed_ns = _NEVER_NS
        self._recovered_ns = _NEVER_NS

    @classmethod
    def replay(
        cls,
        data: bytes,
        *,
        rejoin_after_leave: bool = False,
        min_compact_size: int = MIN_COMPACT_SIZE,
        log: logging.Logger,
    ) -> Self:
        """Read a snapshot file; an empty or missing one is `b""`. Never fails: what can't be read is warned of."""
        snapshot = cls(rejoin_after_leave=rejoin_after_leave, min_compact_size=min_compact_size, log=log)
        snapshot.size = len(data)
        *lines, rest = data.split(b"\n")
        snapshot.torn = rest != b""
        for line in lines:
            snapshot._replay_line(line)
        return snapshot

    # -- what happens --------------------------------------------------------------------------

    def record(self, event: Event, member_clock: int, now_ns: int) -> list[SerfEffect]:
        """Remember what an event says; internal queries count, too (spec serf §9.4)."""
        if self.leaving:
            return []
        match event:
            case MemberEvent(type=EventType.MEMBER_JOIN):
                effects = []
                for member in event.members:
                    name, address = raw(member.name), member.address.encode()
                    if b"\n" in name:  # it would break the lines apart (defect D-11)
                        continue
                    self.alive[name] = address
                    self.former.pop(name, None)
                    effects += self._append(b"alive: %b %b\n" % (name, address), now_ns)
                return effects + self.check_clock(member_clock, now_ns)
            case MemberEvent(type=EventType.MEMBER_LEAVE | EventType.MEMBER_FAILED):
                effects = []
                for member in event.members:
                    name = raw(member.name)
                    if b"\n" in name:
                        continue
                    self._is_former(name)
                    effects += self._append(b"not-alive: %b\n" % name, now_ns)
                return effects + self.check_clock(member_clock, now_ns)
            case MemberEvent():
                return self.check_clock(member_clock, now_ns)
            case UserEvent(ltime=ltime):
                if ltime <= self.event_clock:
                    return []
                self.event_clock = ltime
                return self._append(b"event-clock: %d\n" % ltime, now_ns)
            case QueryEvent(ltime=ltime):
                if ltime <= self.query_clock:
                    return []
                self.query_clock = ltime
                return self._append(b"query-clock: %d\n" % ltime, now_ns)

    def check_clock(self, member_clock: int, now_ns: int) -> list[SerfEffect]:
        """Remember the last member time that was used, even after a leave (spec serf §9.5)."""
        used = member_clock - 1
        if used <= self.clock:
            return []
        self.clock = used
        return self._append(b"clock: %d\n" % used, now_ns)

    def leave(self, now_ns: int) -> list[SerfEffect]:
        """This node leaves on purpose: a later start shall not rejoin, unless it was asked to (spec serf §9.7)."""
        self.leaving = True
        if not self._rejoin_after_leave:
            self._forget_all()
        return [*self._append(b"leave\n", now_ns), SyncSnapshot(close=False)]

    def forget(self, name: bytes, now_ns: int) -> list[SerfEffect]:
        """A member was pruned: nobody wants to see it again."""
        if self.leaving or self.former.pop(name, None) is None:
            return []
        return self._append(b"#pruned: %b\n" % name, now_ns)

    def remember_seed(self, address: str, now_ns: int) -> list[SerfEffect]:
        """An address was joined with success."""
        if self.leaving or "\n" in address:
            return []
        self.seeds.append(address)
        return self._append(b"#seed: %b\n" % raw(address), now_ns)

    def close(self, member_clock: int, now_ns: int) -> list[SerfEffect]:
        """The node ends."""
        return [*self.check_clock(member_clock, now_ns), SyncSnapshot(close=True)]

    # -- what fails ----------------------------------------------------------------------------

    def on_failed(
        self, effect: AppendSnapshot | SyncSnapshot | ReplaceSnapshot, why: str, now_ns: int
    ) -> list[SerfEffect]:
        """A write failed. A whole new file may help; it is tried at most every 30 s (spec serf §9.6)."""
        match effect:
            case SyncSnapshot():
                self._log.error("serf: failed to sync %s: %s", "snapshot" if effect.close else "leave to snapshot", why)
                return []
            case ReplaceSnapshot(recovery=True):
                self._log.error("serf: Compaction failed, will reattempt after 30s: %s", why)
                return []
        self._log.error("serf: Failed to update snapshot: %s", why)
        if now_ns - self._recovered_ns <= RECOVERY_INTERVAL_NS:
            return []
        self._recovered_ns = now_ns
        self._log.info("serf: Attempting compaction to recover from error...")
        return [self._compact(now_ns, recovery=True)]

    def on_recovered(self) -> None:
        """The new file that `on_failed` asked for is in place."""
        self._log.info("serf: Finished compaction, successfully recovered from error state")

    # -- inside --------------------------------------------------------------------------------

    def _is_former(self, name: bytes) -> None:
        if (address := self.alive.pop(name, None)) is not None:
            self._remember(name, address)

    def _remember(self, name: bytes, address: bytes) -> None:
        self.former.pop(name, None)
        self.former[name] = address
        if len(self.former) > FormerPeers.LIMIT:
            del self.former[next(iter(self.former))]

    def _forget_all(self) -> None:
        self.alive.clear()
        self.former.clear()
        self.seeds.clear()

    def _append(self, line: bytes, now_ns: int) -> list[SerfEffect]:
        if self.torn:  # ⚠ upstream glues the next record to the fragment
            line, self.torn = b"\n" + line, False
        flush = now_ns - self._flushed_ns > FLUSH_INTERVAL_NS
        if flush:
            self._flushed_ns = now_ns
        self.size += len(line)
        effects: list[SerfEffect] = [AppendSnapshot(line, flush)]
        if self.size > max(len(self.alive) * BYTES_PER_NODE * COMPACTION_FACTOR, self._min_compact_size):
            effects.append(self._compact(now_ns, recovery=False))
        return effects

    def _compact(self, now_ns: int, *, recovery: bool) -> ReplaceSnapshot:
        """A new file with nothing but the present state in it."""
        lines = [b"alive: %b %b\n" % member for member in self.alive.items()]
        lines += [b"#former: %b %b\n" % member for member in self.former.items()]
        lines += [b"#seed: %b\n" % raw(seed) for seed in self.seeds]
        clocks = (self.clock, self.event_clock, self.query_clock)
        data = b"".join(lines) + b"clock: %d\nevent-clock: %d\nquery-clock: %d\n" % clocks
        self.size = len(data)
        self.torn = False
        self._flushed_ns = now_ns
        return ReplaceSnapshot(data, recovery)

    def _replay_line(self, line: bytes) -> None:
        """One line, first match wins (spec serf §9.3)."""
        kind, colon, value = line.partition(b": ")
        match kind + colon:
            case b"alive: ":
                name, space, address = value.rpartition(b" ")
                if space:
                    self.alive[name] = address
                    self.former.pop(name, None)
                else:
                    self._log.warning("serf: Failed to parse address: %s", shown(line))
            case b"not-alive: ":
                self._is_former(value)
            case b"#former: " if b" " in value:
                name, _, address = value.rpartition(b" ")
                self._remember(name, address)
            case b"#pruned: ":
                self.former.pop(value, None)
            case b"#seed: " if len(self.seeds) < _MOST_SEEDS and text(value) not in self.seeds:
                self.seeds.append(text(value))
            case b"clock: ":
                self.clock = self._number("clock time", value, self.clock)
            case b"event-clock: ":
                self.event_clock = self._number("event clock time", value, self.event_clock)
            case b"query-clock: ":
                self.query_clock = self._number("query clock time", value, self.query_clock)
            case b"coordinate: ":
                pass  # written up to 0.8.1
            case b"leave" if self._rejoin_after_leave:
                self._log.info("serf: Ignoring previous leave in snapshot")
            case b"leave":
                self._forget_all()
                self.clock = self.event_clock = self.query_clock = 0
            case _ if line.startswith(b"#"):
                pass
            case _:
                self._log.warning("serf: Unrecognized snapshot line: %s", shown(line))

    def _number(self, what: str, digits: bytes, otherwise: int) -> int:
        """A clock value as Go's `strconv.ParseUint` reads it."""
        significant = digits.lstrip(b"0")
        if not _DIGITS.fullmatch(digits):
            why = "invalid syntax"
        elif len(significant) > 20 or (value := int(significant or b"0")) > LTIME_MAX:
            why = "value out of range"
        else:
            return value
        quoted = shown(digits).replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\t", "\\t")
        self._log.warning('serf: Failed to convert %s: strconv.ParseUint: parsing "%s": %s', what, quoted, why)
        return otherwise
