"""Which node names are allowed, for those who ask to have them checked (spec serf §11.3, ValidateNodeNames)."""

from __future__ import annotations

import re

from serfcompat.serf.text import text

NAME_MAX = 128
"Bytes (MaxNodeNameLength)."
_STRANGE = re.compile(rb"[^A-Za-z0-9.\-]")


def name_problem(name: bytes) -> str | None:
    """What is wrong with a name, in upstream's words (sic), or None. The empty name passes."""
    if _STRANGE.search(name):
        return (
            f"Node name contains invalid characters {text(name)} , "
            "Valid characters include all alpha-numerics and dashes and '.' "
        )
    if len(name) > NAME_MAX:
        return f"Node name is {len(name)} characters. Valid length is between 1 and {NAME_MAX} characters"
    return None
