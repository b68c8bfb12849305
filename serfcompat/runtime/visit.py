"""A look at a cluster's state without becoming a member of it.

A node tells its whole table to whoever starts a push/pull with it (spec memberlist §2.6), and merges
what the other side brings. A visitor brings nothing: no node, no user state, no wish to join. So
nothing changes, nobody hears of the visit, and nothing is left to clean up.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from serfcompat.errors import VisitError
from serfcompat.runtime import tcp
from serfcompat.runtime.home import HomeName, open_home
from serfcompat.runtime.resolve import ResolveError, resolve
from serfcompat.runtime.ring import draw_nonce
from serfcompat.runtime.surroundings import here
from serfcompat.wire.address import Address
from serfcompat.wire.layers import Layers
from serfcompat.wire.stream import PushPull, StreamReader, label_header, push_pull_message, seal

log = logging.getLogger("serfcompat.visit")
RESOLVER = "/etc/resolv.conf"


@dataclass(frozen=True, slots=True)
class Visited:
    """What a node told a visitor."""

    address: Address
    "Of the node that answered."
    state: PushPull


def visit(
    addresses: Sequence[str],
    *,
    port: int,
    keys: Sequence[bytes] = (),
    label: bytes = b"",
    timeout: float = 10.0,
    home: HomeName = "auto",
) -> Visited:
    """Ask the first of some nodes that answers for all that it knows. Blocks.

    Args:
        addresses: `host`, `host:port`, `[v6]:port`; tried in turn.
        port: Of addresses that have none.
        keys: Of an encrypted cluster, 16, 24 or 32 bytes each; the first one encrypts, all decrypt.
        timeout: Seconds to connect, and again for the whole exchange, per address.

    Raises:
        VisitError: None of the addresses answered; the text has a cause for each.
    """
    lives_in = open_home(home)
    try:
        return lives_in.call(_visit, addresses, port, Layers(label=label, keys=tuple(keys)), timeout)
    finally:
        lives_in.close()


def _visit(addresses: Sequence[str], port: int, layers: Layers, timeout: float) -> Visited:
    failures = []
    for text in addresses:
        try:
            targets = resolve(text, default_port=port, dns_config_path=RESOLVER, log=log, lookup=here().lookup)
        except ResolveError as error:
            failures.append(f"{text}: {error}")
            continue
        for target in targets:
            try:
                return Visited(target.address, _ask(target.address, layers, timeout))
            except (OSError, tcp.ExchangeFailed) as error:
                failures.append(f"{target.address}: {_cause(error)}")
    raise VisitError(failures or ["none was given"])


def _ask(address: Address, layers: Layers, timeout: float) -> PushPull:
    request = push_pull_message(False, [], None)
    sealed = label_header(layers.label) + seal(request, layers, draw_nonce)
    with here().dial(address, timeout, None) as stream, tcp.Deadline(timeout):
        stream.sendall(sealed)
        reader = StreamReader(stream.recv, layers)
        return tcp.read_answer(reader, reader.read_type)


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
