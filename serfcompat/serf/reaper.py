"""Forgetting members that are gone for long (spec serf §4.8)."""

from __future__ import annotations

from serfcompat.serf.core import Core
from serfcompat.serf.members import Entry
from serfcompat.serf.membership import erase
from serfcompat.serf.text import shown
from serfcompat.swim.config import seconds_to_ns

_FOREVER = 1e9
"Seconds. An override may return infinity."


def on_reap_tick(core: Core, now_ns: int) -> None:
    """Erase failed members after `reconnect_timeout`, left ones after `tombstone_timeout`, and expire intents."""
    for entry in _reap(core, core.members.failed, core.config.reconnect_timeout, now_ns):
        core.former.remember(entry.name, entry.address, now_ns)
    _reap(core, core.members.left, core.config.tombstone_timeout, now_ns)
    core.intents.expire(core.timing.recent_intent_timeout_ns, now_ns)


def _reap(core: Core, gone: list[Entry], timeout: float, now_ns: int) -> list[Entry]:
    """Erase those of `gone` whose time is over, and return them."""
    erased: list[Entry] = []
    timeout_ns = seconds_to_ns(timeout)
    index = 0
    while index < len(gone):
        entry = gone[index]
        limit_ns = _limit_ns(core, entry, timeout, timeout_ns)
        if entry.leave_ns is not None and now_ns - entry.leave_ns <= limit_ns:
            index += 1
            continue
        last = gone.pop()
        if last is not entry:
            gone[index] = last  # looked at next, as upstream does
        core.log.info("serf: EventMemberReap: %s", shown(entry.name))
        core.known.add(entry.name, str(entry.address).encode())
        erase(core, entry, now_ns)
        erased.append(entry)
    return erased


def _limit_ns(core: Core, entry: Entry, timeout: float, timeout_ns: int) -> int:
    override = core.config.reconnect_timeout_override
    if override is None:
        return timeout_ns
    try:
        return seconds_to_ns(min(float(override(entry.view(), timeout)), _FOREVER))
    except Exception:  # the user's code: its fault must neither stop the node nor make it forget
        core.log.exception("serf: reconnect_timeout_override failed for %s, the default holds", shown(entry.name))
        return timeout_ns
