"""Releases of memberlist and Serf, for rules that came in the course of time.

Whoever tests an implementation of an older release says so (`--as 0.2.2`), and what that release hadn't got yet
doesn't apply. Without `--as` everything does.
"""

from __future__ import annotations

import re

from serfcompat.errors import UsageError

BEYOND = "beyond upstream"
"No release of upstream has it: it crashes there, or uses up all memory."


def parse(text: str) -> tuple[int, ...]:
    """`0.5.1` as numbers. Raises UsageError."""
    if not re.fullmatch(r"v?\d+(\.\d+)*", text):
        raise UsageError(f"{text} is no release of memberlist: write it like 0.5.1")
    return tuple(int(number) for number in text.removeprefix("v").split("."))


def lacks(release: str, since: str) -> str:
    """Why a case doesn't apply to this release of memberlist; empty if it does. `release` empty: the newest."""
    if not release or not since:
        return ""
    if since == BEYOND:
        return "upstream itself crashes or starves here, in every release"
    if parse(release) < parse(since):
        return f"memberlist has this since {since}, and {release} is tested"
    return ""
