"""What agents complain about, without the particulars, so that two runs can be compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_LEVEL = re.compile(r"\[(WARN|ERR)(?:OR)?\] +(.*)")
"Consul writes ERROR, and pads."
_V4 = r"\b\d{1,3}(?:\.\d{1,3}){3}\b"
_V6 = r"(?<![\w:])[0-9a-f]*:[0-9a-f:]*:[0-9a-f:.]*(?:%\w+)?"
_ADDRESS = re.compile(rf"\[?(?:{_V4}|{_V6})\]?(?::\d+)?")
_DURATION = re.compile(r"(?<![\w<.])-?(?:\d+(?:\.\d+)?(?:ns|[uµμ]s|ms|h|m|s))+(?!\w)")
_NUMBER = re.compile(r"(?<![A-Za-z<])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def log_class(line: str, names: Iterable[str] = ()) -> str | None:
    """The kind of complaint that a log line is, or None if it is none (only WARN and ERR are).

    Node names become `<name>`, addresses `<addr>`, numbers and durations `#`:
    `WARN memberlist: Refuting a suspect message (from: <name>)`.
    """
    found = _LEVEL.search(line)
    if found is None:
        return None
    text = found[2].rstrip()
    # The longest first, or a name that begins another one would spoil it.
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "<name>", text)
    text = _ADDRESS.sub("<addr>", text)
    text = _NUMBER.sub("#", _DURATION.sub("#", text))
    return f"{found[1]} {text}"


def log_classes(lines: Iterable[str], names: Iterable[str] = ()) -> Counter[str]:
    """All kinds of complaint in a log, and how often each was made."""
    known = list(names)
    return Counter(found for line in lines if (found := log_class(line, known)) is not None)
