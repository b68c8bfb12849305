"""Trying to reach failed members again, and previously known ones at the start (spec serf §4.9, §9.8)."""

from __future__ import annotations

from serfcompat.serf.core import Core
from serfcompat.serf.effects import JoinPrevious, Rejoin
from serfcompat.serf.text import shown, text


def on_reconnect_tick(core: Core, now_ns: int) -> None:
    """Maybe exchange state with one failed member; and with one that failed so long ago that it was reaped.

    Upstream does only the first. Then a cluster that was torn apart for longer than `reconnect_timeout`
    stays so, because each side has forgotten the other.
    """
    _reconnect(core)
    if len(core.former) and (lost := core.former.pick(core.dice, _alive(core), now_ns)):
        name, address = lost
        core.log.debug("serf: asking former member %s %s to join", shown(name), address)
        core.out.append(Rejoin(address, name))


def _alive(core: Core) -> int:
    """⚠ Computed by subtraction: it counts leaving members."""
    return max(len(core.members) - len(core.members.failed) - len(core.members.left), 1)


def _reconnect(core: Core) -> None:
    """Maybe exchange state with one failed member.

    The chance is failed / alive, so that the whole cluster tries each failed member about
    once per interval.
    """
    failed = core.members.failed
    if not failed:
        return
    if core.dice.random() > len(failed) / _alive(core):
        core.log.debug("serf: forgoing reconnect for random throttling")
        return
    entry = failed[core.dice.randrange(len(failed))]
    core.log.info("serf: attempting reconnect to %s %s", shown(entry.name), entry.address)
    core.out.append(Rejoin(entry.address, entry.name))


class PreviousNodes:
    """The nodes of the snapshot, tried one after the other until one answers."""

    def __init__(self, core: Core) -> None:
        self._core = core
        known = list(core.snapshot.alive.items()) if core.snapshot is not None else []
        core.dice.shuffle(known)
        self._left = [node for node in known if node[0] != core.me]
        self._any = bool(known)
        self._tried = ""

    def begin(self) -> None:
        """Try the first; nothing happens if the snapshot knew no node."""
        if self._any:
            self._next()

    def on_joined(self, ok: bool) -> None:
        """The result of the last try."""
        if ok:
            self._core.log.info("serf: Re-joined to previously known node: %s", self._tried)
        else:
            self._next()

    def _next(self) -> None:
        if not self._left:
            self._core.log.warning("serf: Failed to re-join any previously known node")
            return
        name, address = self._left.pop(0)
        self._tried = f"{shown(name)}: {shown(address)}"
        self._core.log.info("serf: Attempting re-join to previously known node: %s", self._tried)
        self._core.out.append(JoinPrevious(f"{text(name)}/{text(address)}" if name else text(address)))
