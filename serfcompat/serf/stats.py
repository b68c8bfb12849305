"""Numbers about a node, as text (spec serf §13.1)."""

from __future__ import annotations

from serfcompat.serf.core import Core


def stats(core: Core) -> dict[str, str]:
    """What `serf info` shows of the library (upstream `Stats`)."""
    numbers = {
        "members": len(core.members),
        "failed": len(core.members.failed),
        "left": len(core.members.left),
        "health_score": core.swim.health_score,
        "member_time": core.clock.time,
        "event_time": core.event_clock.time,
        "query_time": core.query_clock.time,
        "intent_queue": len(core.queues.intents),
        "event_queue": len(core.queues.events),
        "query_queue": len(core.queues.queries),
    }
    texts = {name: str(number) for name, number in numbers.items()}
    texts["encrypted"] = "true" if len(core.swim.keyring) else "false"
    if core.coordinates is not None:
        texts["coordinate_resets"] = str(core.coordinates.resets)
    return texts
