"""What came back for a simulated query."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Answers:
    """Filled while the simulation runs."""

    acks: list[str] = field(default_factory=list)
    "Nodes that the query reached, in order; only if acks were asked for."
    responses: list[tuple[str, bytes | None]] = field(default_factory=list)
    "(node, payload), in order."
    closed: bool = False
    "Nothing more will come."
