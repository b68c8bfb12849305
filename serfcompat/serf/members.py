"""The member table: every member that Serf knows, in any status (spec serf §4.1).

Rules are functions in `membership`, `intents`, `reaper` …; here is only what they share.
Statuses change by `Members.become` and nowhere else, so that the snapshot that
`snapshot()` hands out is rebuilt when, and only when, something visible changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from serfcompat.serf.member import Member, MemberStatus
from serfcompat.serf.text import raw_map, text
from serfcompat.swim.events import NodeView
from serfcompat.wire.address import Address, ip_text
from serfcompat.wire.serf_messages import MemberRecord


class Entry:
    """One known member. Its name is raw bytes; `view()` is what the application gets."""

    __slots__ = ("_view", "addr", "leave_ns", "name", "port", "status", "status_ltime", "tags", "vsn")

    def __init__(self, name: bytes, status: MemberStatus) -> None:
        self.name = name
        self.addr = b""
        self.port = 0
        self.tags: Mapping[str, str] = {}
        self.vsn = bytes(6)
        "memberlist min, max, current; Serf min, max, current."
        self.status = status
        self.status_ltime = 0
        "Lamport time of the last intent that was accepted (statusLTime)."
        self.leave_ns: int | None = None
        "When the member left or failed; None while it did neither (leaveTime)."
        self._view: Member | None = None

    @property
    def address(self) -> Address:
        return Address(self.addr, self.port)

    @property
    def protocol_max(self) -> int:
        """The highest memberlist protocol that the member speaks."""
        return self.vsn[1]

    def view(self) -> Member:
        """The member as it stands now."""
        if self._view is None:
            self._view = member(self.name, self.address, self.tags, self.status, self.vsn)
        return self._view

    def record(self) -> MemberRecord:
        """The member as a conflict response carries it (spec serf §2.4, type 6)."""
        min_, max_, cur, delegate_min, delegate_max, delegate_cur = self.vsn
        return MemberRecord(
            self.name, self.addr, self.port, raw_map(self.tags), self.status,
            min_, max_, cur, delegate_min, delegate_max, delegate_cur,
        )  # fmt: skip


def member(name: bytes, address: Address, tags: Mapping[str, str], status: MemberStatus, vsn: bytes) -> Member:
    """A member as the application sees it. Versions that are missing read as 0."""
    min_, max_, cur, delegate_min, delegate_max, delegate_cur = six(vsn)
    return Member(
        text(name), ip_text(address.ip), address.port, tags, status,
        min_, max_, cur, delegate_min, delegate_max, delegate_cur, addr_bytes=address.ip,
    )  # fmt: skip


def six(vsn: bytes) -> bytes:
    """A version vector of full length."""
    return vsn[:6].ljust(6, b"\0")


def _itself(entry: Entry) -> Entry:
    return entry


class Members:
    """All members by name, and who of them failed or left."""

    def __init__(self) -> None:
        self.by_name: dict[bytes, Entry] = {}
        self.own: Callable[[Entry], Entry] = _itself
        "Called before a rule changes an entry. The simulator's tables share entries, and copy one here first."
        self.failed: list[Entry] = []
        self.left: list[Entry] = []
        self._snapshot: tuple[Member, ...] | None = None

    def __len__(self) -> int:
        return len(self.by_name)

    def get(self, name: bytes) -> Entry | None:
        return self.by_name.get(name)

    def add(self, name: bytes, status: MemberStatus) -> Entry:
        entry = self.by_name[name] = Entry(name, status)
        self._snapshot = None
        return entry

    def remove(self, entry: Entry) -> None:
        """Forget a member. The failed and left lists are the caller's business."""
        self.by_name.pop(entry.name, None)
        self._snapshot = None

    def become(self, entry: Entry, status: MemberStatus) -> None:
        entry.status = status
        entry._view = None
        self._snapshot = None

    def describe(self, entry: Entry, node: NodeView, tags: Mapping[str, str]) -> None:
        """Take over address, versions and tags from what memberlist reports."""
        entry.addr = node.addr
        entry.port = node.port
        entry.tags = tags
        entry.vsn = six(node.vsn)
        entry._view = None
        self._snapshot = None

    def snapshot(self) -> tuple[Member, ...]:
        """Every member, in no particular order; the same object until something changes."""
        if self._snapshot is None:
            self._snapshot = tuple([entry.view() for entry in self.by_name.values()])
        return self._snapshot

    def any_other_alive(self, me: bytes) -> bool:
        """Whether a broadcast would find anybody (upstream `hasAliveMembers`)."""
        return any(entry.status is MemberStatus.ALIVE and entry.name != me for entry in self.by_name.values())


def swap_out(entries: list[Entry], name: bytes) -> None:
    """Remove the first entry of a name; the last one takes its place (upstream `removeOldMember`)."""
    for index, entry in enumerate(entries):
        if entry.name == name:
            entries[index] = entries[-1]
            entries.pop()
            return
