"""How long a suspect may live: the suspicion timer with confirmations (spec memberlist §6.9, Lifeguard).

A suspicion starts with the longest wait. Each further node that suspects on its own
shortens it, logarithmically, down to the shortest:

    timeout(c) = max − (max − min) · ln(c + 1) / ln(k + 1)      c confirmations, k wanted
"""

from __future__ import annotations

import math


def suspicion_timeouts(mult: int, max_mult: int, nodes: int, probe_interval_ns: int) -> tuple[int, int]:
    """The shortest and the longest wait in nanoseconds (Go `suspicionTimeout`).

    `min = mult · floor(1000 · max(1, log10(max(1, nodes)))) · interval / 1000`, truncating as Go does.
    """
    scale = max(1.0, math.log10(max(1.0, nodes)))
    shortest = mult * int(scale * 1000) * probe_interval_ns // 1000
    return shortest, max_mult * shortest


def confirmations_wanted(mult: int, nodes: int) -> int:
    """k: how many further accusers bring the wait down to its minimum; 0 in small clusters (M-149)."""
    wanted = mult - 2
    return 0 if nodes - 2 < wanted else wanted


def timeout_ns(confirmations: int, k: int, min_ns: int, max_ns: int) -> int:
    """The whole wait after so many of `k` confirmations; `k` is at least 1 (Go `remainingSuspicionTime`)."""
    share = math.log(confirmations + 1) / math.log(k + 1)
    longest, shortest = max_ns / 1e9, min_ns / 1e9
    # Go floors to whole milliseconds here.
    return max(min_ns, math.floor(1000 * (longest - share * (longest - shortest))) * 1_000_000)


class Suspicion:
    """One running suspicion (upstream `suspicion`)."""

    __slots__ = ("_postponed", "_seen", "confirmations", "due_ns", "k", "max_ns", "min_ns", "started_ns")

    def __init__(self, originator: bytes, *, k: int, min_ns: int, max_ns: int, started_ns: int) -> None:
        self.k = k
        self.min_ns = min_ns
        self.max_ns = max_ns
        self.started_ns = started_ns
        self.due_ns = started_ns + (min_ns if k < 1 else max_ns)
        "When the suspect is to be declared dead."
        self.confirmations = 0
        self._seen = {originator}
        self._postponed = False

    def confirm(self, accuser: bytes, now_ns: int) -> bool:
        """Whether this accuser is new and wanted; if so `due_ns` may have moved closer, at most to now."""
        if self.confirmations >= self.k or accuser in self._seen:
            return False
        self._seen.add(accuser)
        self.confirmations += 1
        wait_ns = timeout_ns(self.confirmations, self.k, self.min_ns, self.max_ns)
        self.due_ns = max(now_ns, self.started_ns + wait_ns)
        return True

    def postpone(self, until_ns: int) -> bool:
        """Give the suspect a last chance until then, once; whether it gets one."""
        if self._postponed:
            return False
        self._postponed = True
        self.due_ns = until_ns
        return True
