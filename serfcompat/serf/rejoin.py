"""Finding anybody again when nobody else is alive (no upstream counterpart).

Upstream forgets failed members after `reconnect_timeout`, and tries those of its snapshot once, at the
start. A node that was away for longer stays alone. Here everybody who was ever known is asked
to join, `AT_ONCE` of them in each `rejoin_interval`, in turn, and the addresses that the program
has joined, which are looked up again. So the end of an outage is noticed within
`rejoin_interval * ceil(known / AT_ONCE)`, or `rejoin_interval` where a joined address still leads to
the cluster, and a connection's time-out.

Who is not alone asks only those who failed (`reconnect`).
"""

from __future__ import annotations

from collections.abc import Iterable

from serfcompat.serf.core import Core
from serfcompat.serf.effects import JoinAgain
from serfcompat.serf.state import SerfState
from serfcompat.serf.text import shown, text
from serfcompat.wire.address import Address, ip_bytes

AT_ONCE = 3
"Peers that a lonely node asks in one interval."
MOST_SEEDS = 16
"More addresses that the program has joined are not remembered."


def on_rejoin_tick(core: Core, now_ns: int) -> None:
    """Ask some if nobody else is alive."""
    rounds = core.known.rounds
    if core.state is not SerfState.ALIVE or core.members.any_other_alive(core.me):
        rounds.clear()
        return
    known = dict(core.known.addresses)
    for entry in (*core.members.failed, *core.members.left):
        known[entry.name] = str(entry.address).encode()
    known.pop(core.me, None)
    for name in sorted(known, key=lambda name: rounds.get(name, 0))[:AT_ONCE]:
        rounds[name] = rounds.get(name, 0) + 1
        core.log.info("serf: alone: asking former peer %s at %s to join", shown(name), shown(known[name]))
        address = text(known[name])
        core.out.append(JoinAgain((f"{text(name)}/{address}" if name else address,)))
    if core.seeds:
        core.log.info("serf: alone: joining %s again", ", ".join(core.seeds))
        core.out.append(JoinAgain(tuple(core.seeds)))


def recall(core: Core, now_ns: int) -> None:
    """What the snapshot knows of who was a member, and of what was joined."""
    if core.snapshot is None:
        return
    core.seeds = list(core.snapshot.seeds)
    for name, where in (core.snapshot.former | core.snapshot.alive).items():
        if name != core.me:
            core.known.add(name, where)
            if (address := _address(where)) is not None:
                core.former.remember(name, address, now_ns)


def remember_seeds(core: Core, addresses: Iterable[str], now_ns: int) -> None:
    """These were joined with success."""
    for address in addresses:
        if address not in core.seeds and len(core.seeds) < MOST_SEEDS:
            core.seeds.append(address)
            if core.snapshot is not None:
                core.out += core.snapshot.remember_seed(address, now_ns)


def _address(where: bytes) -> Address | None:
    """Of the snapshot's `host:port`; None if it isn't one."""
    host, _, port = text(where).rpartition(":")
    try:
        return Address(ip_bytes(host.strip("[]")), int(port))
    except ValueError:
        return None
