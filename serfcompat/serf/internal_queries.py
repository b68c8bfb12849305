"""Queries that Serf asks itself; the application never sees them (spec serf §6.9)."""

from __future__ import annotations

from serfcompat.errors import SerfCompatError
from serfcompat.serf import keys
from serfcompat.serf.core import Core
from serfcompat.serf.events import QueryEvent
from serfcompat.serf.responses import respond
from serfcompat.serf.text import raw, shown
from serfcompat.wire.serf_messages import ConflictResponse

INTERNAL_PREFIX = "_serf_"
"What their names begin with (InternalQueryPrefix)."


def on_internal_query(core: Core, query: QueryEvent, now_ns: int) -> None:
    """React to one of our own kind; a requested ack has been sent already."""
    match query.name.removeprefix(INTERNAL_PREFIX):
        case "ping":
            pass
        case "conflict":
            _on_conflict(core, query, now_ns)
        case "install-key":
            keys.on_install(core, query, now_ns)
        case "use-key":
            keys.on_use(core, query, now_ns)
        case "remove-key":
            keys.on_remove(core, query, now_ns)
        case "list-keys":
            keys.on_list(core, query, now_ns)
        case unknown:
            core.log.warning("serf: Unhandled internal query '%s'", shown(raw(unknown)))


def _on_conflict(core: Core, query: QueryEvent, now_ns: int) -> None:
    """Tell whom we know under a name that two nodes claim (spec serf §6.10). The claimants stay silent."""
    name = query.payload or b""
    if name == core.me:
        return
    core.log.debug("serf: Got conflict resolution query for '%s'", shown(name))
    entry = core.members.get(name)
    response = ConflictResponse(None if entry is None else entry.record())
    try:
        respond(core, query, response.encode(), now_ns)
    except SerfCompatError as error:
        core.log.error("serf: Failed to respond to conflict query: %s", error)
