"""The directory in which the workers of a host meet: locks that the kernel keeps, a socket, a state file.

    lock        held by the member's process, from before it starts until it is gone
    workers     held, shared, by every worker: when the member gets it alone, nobody needs it any more
    supervisor  held by the one worker that looks after the member's health
    agent.sock  where the member's RPC listens
    snapshot    what a new member's process needs to go on where the last one ended
    state.json  who the member is, and why it is not there
    member.log  what it says, unless `log_file` is somewhere else

All locks are flock's: they end with the process that holds them, however it ends. A file left behind means nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from dataclasses import asdict, dataclass
from typing import Literal

from serfcompat.errors import StartError

LONGEST_SOCKET_PATH = 107
"Bytes that Linux allows for the path of a UNIX socket."
MAX_STATE = 64 * 1024
SAME_USER = (
    "workers that share a member need the same user; give others a run_dir, a node_name and a bind address of their own"
)


@dataclass(frozen=True, slots=True)
class State:
    """What the member's process says of itself."""

    pid: int = 0
    phase: Literal["none", "starting", "running", "left", "failed"] = "none"
    "`left`: it ended on purpose, and those who used it should not bring it back at once."
    name: str = ""
    address: str = ""
    "`host:port` that the other members know."
    error: str = ""
    "Why it could not start."
    in_process: bool = False
    "The process is a worker: it is not for others to end."


class RunDir:
    """Paths and locks below one directory."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.socket = os.path.join(path, "agent.sock")
        self.snapshot = os.path.join(path, "snapshot")
        self.log = os.path.join(path, "member.log")
        self._state = os.path.join(path, "state.json")

    @property
    def address(self) -> str:
        """For RPC clients."""
        return f"unix://{self.socket}"

    def make(self) -> None:
        """Create it for our user alone, if need be. Raises StartError that says what to do."""
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            raise StartError(
                f"the run directory's path is too long for a socket in it: {self.path}: choose a shorter one"
            )
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            found = os.lstat(self.path)
        except OSError as error:
            raise self._unusable(error) from error
        if not stat.S_ISDIR(found.st_mode) and not os.path.isdir(self.path):
            raise StartError(f"{self.path} is no directory: remove it, or choose another run directory")
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            raise StartError(f"anybody may write to {self.path}: chmod o-w it, or choose another run directory")
        if os.getuid() not in (0, found.st_uid) and found.st_uid != 0:
            raise StartError(f"{self.path} belongs to user {found.st_uid}, this is user {os.getuid()}: {SAME_USER}")

    def lock(self, name: Literal["lock", "workers", "supervisor"], *, shared: bool = False) -> int | None:
        """A descriptor that holds the lock until it is closed, or None: somebody else has it.

        Raises StartError if the file can't be opened.
        """
        path = os.path.join(self.path, name)
        try:
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError:
                if not shared:
                    raise
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)  # enough for taking part
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        return fd

    def holds(self, name: Literal["lock", "workers"], fd: int) -> bool:
        """Whether the descriptor's lock is the one that others see there: somebody may have cleaned the directory."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(os.path.join(self.path, name)))
        except OSError:
            return False

    def _unusable(self, error: OSError) -> StartError:
        return StartError(
            f"can't use the run directory {self.path} as user {os.getuid()}: {error.strerror}: "
            f"let run_dir, or $SERFCOMPAT_RUN_DIR, be one that this user may write to; {SAME_USER}"
        )

    def write_state(self, state: State) -> None:
        """Replace the state, whole or not at all. A full disk is no reason to end."""
        fresh = f"{self._state}.{os.getpid()}"
        with contextlib.suppress(OSError):
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(fd, "w") as file:
                json.dump(asdict(state), file)
            os.replace(fresh, self._state)

    def state(self) -> tuple[State, float]:
        """The last state, and when it was written (seconds since the epoch); an empty one if there is none to read."""
        try:
            with open(self._state, "rb") as file:
                written = os.fstat(file.fileno()).st_mtime
                return State(**json.loads(file.read(MAX_STATE))), written
        except (OSError, ValueError, TypeError):
            return State(), 0.0
