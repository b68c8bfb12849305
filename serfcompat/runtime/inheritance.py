"""What a forked child has of its parent's node: nothing, or what it takes to start one of its own.

Two processes with one name and one incarnation counter would wreck the cluster's view of both, and
two that read one socket would steal each other's packets. So the child lets go of everything,
and either says so on use, or becomes a member with a name and a port of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from serfcompat.errors import JoinError, UsageError
from serfcompat.swim.config import MemberlistConfig

OnFork = Literal["error", "restart"]
MOST_SEEDS = 5
"Members that a child tries to join, its parent first."


def check_on_fork(on_fork: str) -> None:
    """Raises UsageError for anything but `error` and `restart`."""
    if on_fork not in ("error", "restart"):
        raise UsageError(f"on_fork is 'error' or 'restart', not {on_fork!r}")


def heir_name(name: str) -> str:
    """A name for a child's own node: no other process of the parent's host has it."""
    return f"{name}-{os.getpid()}"


def heir_config(config: MemberlistConfig, keys: Sequence[bytes]) -> MemberlistConfig:
    """The parent's configuration on a port of its own, with the keys that the parent had at the fork."""
    return config.replace(bind_port=0, advertise_port=0, secret_key=None, keyring=tuple(keys))


def join_kin(join: Callable[[Sequence[str]], int], seeds: Iterable[str], log: logging.Logger) -> None:
    """Find the parent's cluster by the first member that answers. If none does, that is logged: the child is alone."""
    tried = list(seeds)[:MOST_SEEDS]
    for seed in tried:
        with contextlib.suppress(JoinError):
            join([seed])
            return
    if tried:
        log.warning("serfcompat: after the fork none of %s answered: this node is alone", ", ".join(tried))


def let_go(sock: Any) -> None:
    """Close this process's copy of a socket, and nothing else: no gevent call, for its hub is the parent's.

    Its descriptor goes on as the end of a pipe that nobody writes to.
    ⚠ Were it free, its object would close it again when it is somebody else's; and libev, whose
    watchers of an inline node are inherited, ends the process over a watched descriptor that isn't open.
    """
    fileno = getattr(sock, "fileno", None)  # on virtual time sockets have none
    if fileno is not None and (fd := fileno()) >= 0:
        if not _silence:
            _silence.extend(os.pipe())
        os.dup2(_silence[0], fd, inheritable=False)


_silence: list[int] = []
"A pipe whose reading end never has anything; its writing end stays open for that."
