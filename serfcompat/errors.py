"""Every exception a caller may catch, in one tree.

Each docstring says whether the node's state survives the error and whether the
call may be repeated. Programming errors stay `TypeError`, `ValueError` and
`AssertionError`.
"""

from __future__ import annotations

from collections.abc import Sequence


class SerfCompatError(Exception):
    """The root of all errors that serfcompat raises on purpose."""


class WireError(SerfCompatError):
    """Bytes from outside that Go would refuse as well.

    The message is dropped and counted under `reason`; no state was touched.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        """The class of the fault, one word: `truncated`, `crc`, `label_mismatch` …"""
        self.detail = detail


class UsageError(SerfCompatError, ValueError):
    """Your call or configuration is wrong. Nothing was sent or changed; mend it and call again."""


class PayloadTooLarge(UsageError):
    """A payload over a wire limit. Nothing was sent, no clock moved.

    The text is what Go says, for those who compare it; `limit`, `size` and `advice` say the rest.
    """

    def __init__(self, message: str, *, limit: int, size: int, advice: str = "send less, or a reference to it") -> None:
        super().__init__(message)
        self.advice = advice
        "What to do instead. A traceback shows it as well."
        self.add_note(f"{size} bytes are over the limit of {limit}: {advice}")
        self.limit = limit
        "Bytes allowed."
        self.size = size
        "Bytes that the call would have needed."


class StartError(SerfCompatError):
    """A node could not start (port in use, bad address, unreadable key …). Nothing is left running."""


class JoinError(SerfCompatError):
    """No address answered. Calling again is safe: merging the same state twice changes nothing."""

    def __init__(self, failures: Sequence[str]) -> None:
        self.failures = tuple(failures)
        "One cause per address, in the order tried."
        count = len(self.failures)
        listed = "".join(f"\n\t* {failure}" for failure in self.failures)
        super().__init__(f"{count} error{'' if count == 1 else 's'} occurred:{listed}\n\n")


class VisitError(SerfCompatError):
    """Nobody let us look at a cluster's state. `.failures` has one cause per address, in order; try again at will."""

    def __init__(self, failures: Sequence[str]) -> None:
        self.failures = tuple(failures)
        super().__init__("no address answered: " + "; ".join(self.failures))


class ConsulRefused(SerfCompatError):
    """A Consul pool does not take us, or would not: the text says why. The node was stopped."""


class MergeRefused(SerfCompatError):
    """A push/pull that must not be merged: incompatible versions, or a merge hook's veto. Nothing was merged."""


class StateError(SerfCompatError):
    """The call does not fit the node's state (join after leave, leave while leaving, use after shutdown)."""


class ForkedError(StateError):
    """A node of the parent process was used in a child. It lives on in the parent; start one of your own here."""


class EventQueueFull(SerfCompatError):
    """A user event would have been queued behind more than the cluster can carry. Nothing was sent; try later."""


class DeadlineExceeded(SerfCompatError, TimeoutError):
    """A wait ended before the cluster confirmed. What was sent stays sent; repeating is safe."""


class RPCError(SerfCompatError):
    """The agent answered with an error. The text is the agent's own. The connection stays usable."""

    def __init__(self, text: str, *, reply: object = None) -> None:
        super().__init__(text)
        self.reply = reply
        "What came with the error: the body of a refused join or key command, else None."


class AgentUnreachable(RPCError):
    """There is no connection to the agent: it could not be made, or was lost or closed.

    A request that was on its way may have been carried out. Make a new client, or let this one reconnect.
    """
