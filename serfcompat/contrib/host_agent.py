"""A worker's way to the member of its host: find it, or start it; and end one that hangs.

    try the socket ──answers──▶ use it
         │ nobody
    try the lock ──taken──▶ somebody's member is starting, or ending: try the socket again
         │ ours
    start a member's process, hand it the lock, try the socket again

All workers do this alike, so it does not matter which of them lives. The member's process
is nobody's: it goes on when the worker that started it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import logging
import os
import shutil
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from serfcompat.contrib.rundir import SAME_USER, RunDir, State
from serfcompat.contrib.settings import HostSettings
from serfcompat.errors import AgentUnreachable, StartError
from serfcompat.rpc.client import Client

if TYPE_CHECKING:
    from serfcompat.contrib.here import MemberHere

log = logging.getLogger("serfcompat.contrib")
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.1
"Seconds between attempts to reach the member."
FAILED_PAUSE = 2.0
"Seconds after a failed start before anybody tries the next one."
START_LIMIT = 60.0
"Seconds after which a start that came to nothing is history: the host was started anew, perhaps."
ANSWER_TIMEOUT = 3.0
"Seconds in which a healthy member answers anything."
STUCK_AFTER = 3
"Answers in a row that a member may owe before it is ended."


class HostAgent:
    """The member of this host, as one worker sees it."""

    def __init__(self, settings: HostSettings) -> None:
        """Nothing happens before `connect`."""
        self.settings = settings
        self.dir = RunDir(settings.directory())
        self.started = 0
        "How often this worker started the member's process."
        self._children: set[int] = set()
        self._attendance: int | None = None
        self._supervision: int | None = None
        self._becoming = threading.Lock()
        self._owed = 0
        self._closed = False
        self._here: MemberHere | None = None
        "The member, if it runs in this process."

    # -- reaching it --------------------------------------------------------------------------

    def connect(self, give_up: float) -> Client:
        """A connection to the member, which is started if need be.

        Args:
            give_up: Seconds after which that counts as failed.

        Raises:
            StartError: The member can't be started, or the run directory can't be used; the text says what to do.
            AgentUnreachable: It doesn't answer.
        """
        if self.settings.attach:
            return self._dial(self.settings.attach, self.settings.attach_auth)
        deadline, pause = time.monotonic() + give_up, FIRST_PAUSE
        while True:
            self.reap()
            try:
                self._attend()
                client = self._dial(self.dir.address)
            except AgentUnreachable as error:
                if isinstance(error.__cause__, PermissionError):
                    raise StartError(
                        f"the member at {self.dir.socket} is another user's, this is user {os.getuid()}: {SAME_USER}"
                    ) from error
                if isinstance(error.__cause__, TimeoutError):
                    self.owes_an_answer()
                reason: Exception = error
            else:
                self._owed = 0
                return client
            failure = self._start_if_free()
            if failure:
                raise StartError(failure)
            if time.monotonic() + pause > deadline:
                raise AgentUnreachable(f"the host's member does not answer at {self.dir.socket}: {reason}")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _dial(self, address: str, auth: str = "") -> Client:
        return Client(address, auth, timeout=ANSWER_TIMEOUT, answer_timeout=ANSWER_TIMEOUT)

    def _attend(self) -> None:
        """Let the member know that it is needed. Raises AgentUnreachable while one is about to leave."""
        if self._attendance is not None and not self.dir.holds("workers", self._attendance):
            os.close(self._attendance)  # the file was removed: no member would look at it any more
            self._attendance = None
        if self._attendance is None:
            self.dir.make()
            self._attendance = self.dir.lock("workers", shared=True)
            if self._attendance is None:
                raise AgentUnreachable("the host's member is leaving")

    def left_on_purpose(self) -> bool:
        """Whether the last member's process ended because somebody wanted it to."""
        return not self.settings.attach and self.dir.state()[0].phase == "left"

    # -- starting it --------------------------------------------------------------------------

    def _start_if_free(self) -> str:
        """Start a process unless there is one; the reason if that failed a moment ago, too soon to try again."""
        lock = self.dir.lock("lock")
        if lock is None:
            return ""
        try:
            state, written = self.dir.state()
            age = abs(time.time() - written)
            if state.phase == "starting" and age < START_LIMIT:  # and yet nobody has the lock
                state = State(phase="failed", error="the host's member ended while it was starting: its log says why")
                self.dir.write_state(state)
                return state.error
            if state.phase == "failed" and age < FAILED_PAUSE:
                return state.error
            self.dir.write_state(State(phase="starting"))
            if self.settings.in_process:
                self._run_here(lock)
            else:
                self._spawn(lock)
        finally:
            os.close(lock)
        return ""

    def _run_here(self, lock: int) -> None:
        from serfcompat.contrib.here import MemberHere  # what a node needs is of no use to most workers

        self._here = MemberHere(self.settings, os.dup(lock))
        self.started += 1
        atexit.register(self._end_here)
        log.info("contrib: the host's member runs in this process, %d", os.getpid())

    def _end_here(self) -> None:
        """The program ends: the member leaves, unless another worker of this host is there to go on as it."""
        here, self._here = self._here, None
        if here is None or here.ended:
            return
        if self._attendance is not None:
            os.close(self._attendance)
            self._attendance = None
        others = self.dir.lock("workers")
        here.end(leave=others is not None)
        if others is not None:
            os.close(others)

    def _spawn(self, lock: int) -> None:
        """Without a fork of our own: whatever threads and sockets this process has stay out of it."""
        settings, to_child = os.pipe()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        # The order matters: what is a source below must not have been overwritten before.
        kept = [_above(fd, 10) for fd in (settings, lock)]
        environment = dict(os.environ) | {"PYTHONPATH": _python_path()}
        try:
            pid = os.posix_spawn(
                (python := _python()),
                [python, "-P", "-m", "serfcompat.contrib.member"],
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, kept[0], 0),
                    (os.POSIX_SPAWN_DUP2, null if _closed(2) else 2, 2),
                    (os.POSIX_SPAWN_DUP2, 2, 1),
                    (os.POSIX_SPAWN_DUP2, kept[1], 3),
                ],
                setsid=True,  # what a terminal or a web server tells its own group is not for it
                setsigmask=[],
                setsigdef=[
                    signal.SIGINT,
                    signal.SIGTERM,
                    signal.SIGHUP,
                    signal.SIGCHLD,
                    signal.SIGPIPE,
                    signal.SIGALRM,
                ],
            )
        except OSError as error:
            raise StartError(f"can't start {python} for the host's member: {error.strerror}") from error
        finally:
            for fd in (settings, null, *kept):
                os.close(fd)
        data = memoryview(self.settings.to_json())
        try:
            while data:
                data = data[os.write(to_child, data) :]
        except BrokenPipeError:
            pass  # it ended at once; its own words are in the log
        finally:
            os.close(to_child)
        self._children.add(pid)
        self.started += 1
        log.info("contrib: started the host's member, process %d", pid)

    def reap(self) -> None:
        """Let the system forget processes of ours that ended."""
        for pid in list(self._children):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._children.discard(pid)

    # -- looking after it ---------------------------------------------------------------------

    def supervises(self) -> bool:
        """Whether this worker is the one that looks after the member; it becomes it if there is none."""
        if self._supervision is None and not self._closed:
            # One thread at a time: a second one would not get the lock from the first, and forget who has it.
            with self._becoming, contextlib.suppress(StartError):
                if self._supervision is None:
                    if self.settings.attach:
                        self.dir.make()
                    self._supervision = self.dir.lock("supervisor")
        return self._supervision is not None

    def answered(self) -> None:
        """The member owes nothing."""
        self._owed = 0

    def owes_an_answer(self) -> None:
        """It did not answer in time. The supervisor ends a process that does so several times in a row."""
        if self.settings.attach or not self.supervises():
            return
        self._owed += 1
        if self._owed >= STUCK_AFTER:
            self._owed = 0
            self._end_stuck()

    def _end_stuck(self) -> None:
        """Kill who listens at the socket; the next one is started as after any other death."""
        pid = self._listening_pid()
        if not pid:
            return
        if self.dir.state()[0].in_process:
            log.error("contrib: the host's member, in the worker with process %d, does not answer", pid)
            return
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return
        try:
            # The number may have been given to another process in between: then it isn't the listener's any more.
            if self._listening_pid() == pid:
                log.error("contrib: the host's member, process %d, does not answer: killing it", pid)
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)

    def _listening_pid(self) -> int:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(ANSWER_TIMEOUT)
            try:
                probe.connect(self.dir.socket)
                data = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            except OSError:
                return 0
        return int(struct.unpack("3i", data)[0])

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """This worker needs the member no longer; in a forked child: the parent still does.

        A member that runs in this process goes on until that ends.
        """
        for fd in (self._attendance, self._supervision):
            if fd is not None:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._closed = True
        self.reap()
        self._attendance = self._supervision = None


def _above(fd: int, least: int) -> int:
    """A duplicate with a number that is not in the child's way."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, least)


def _closed(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


def _python() -> str:
    """An interpreter like this one. ⚠ Inside uWSGI `sys.executable` is uWSGI itself."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [sys.executable, *(os.path.join(sys.prefix, "bin", name) for name in (version, "python3", "python"))]
    for candidate in candidates:
        if candidate and os.path.basename(candidate).startswith("python") and os.access(candidate, os.X_OK):
            return candidate
    return shutil.which(version) or sys.executable


def _python_path() -> str:
    """Where the child finds this very package."""
    root = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
