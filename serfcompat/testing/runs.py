"""Who started something, so that what a killed runner left behind is found and removed by the next one.

Everything that a test cluster starts carries the mark of its run: a container's label, a process's environment,
a network namespace's name. A mark names the process that runs it; once that is gone, the rest may go as well.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from serfcompat.errors import SerfCompatError

VARIABLE = "SERFCOMPAT_RUN"
"The environment variable that has the mark."
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Run:
    """A process that starts test clusters, and one time that it does so."""

    id: str
    "Six hexadecimal digits."
    machine: str
    "Of the boot and the process namespace that `pid` is in, eight hexadecimal digits."
    pid: int
    started: int
    "When the process started, in clock ticks since the boot: a later one with the same pid differs."

    def __str__(self) -> str:
        return f"{self.id}-{self.machine}-{self.pid}-{self.started}"

    @classmethod
    def parse(cls, mark: str) -> Run | None:
        """The run of a mark; None: it is none."""
        parts = mark.split("-")
        if len(parts) != 4 or not (parts[2].isdigit() and parts[3].isdigit()):
            return None
        return cls(parts[0], parts[1], int(parts[2]), int(parts[3]))

    @property
    def ended(self) -> bool:
        """Whether its process is known to be gone. Of other machines nothing is known."""
        return self.machine == _machine() and _started(self.pid) != self.started


_runs: dict[int, Run] = {}


def this_run() -> Run:
    """The run of this process."""
    with _lock:
        pid = os.getpid()  # a forked child is another run
        if pid not in _runs:
            _runs[pid] = Run(secrets.token_hex(3), _machine(), pid, _started(pid) or 0)
        return _runs[pid]


def marked_processes() -> Iterator[tuple[int, Run]]:
    """Processes of this machine that carry a mark, with their run."""
    wanted = f"{VARIABLE}=".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # ended meanwhile, or somebody else's
        for variable in variables:
            if variable.startswith(wanted) and (run := Run.parse(variable[len(wanted) :].decode("ascii", "replace"))):
                yield int(folder.name), run


def ended(run: Run) -> bool:
    """Whether a run's leftovers may be removed without asking anybody."""
    return run.ended


def wait_until_gone(is_left: Callable[[], bool], patience: float = 15.0) -> bool:
    """Wait, for `patience` seconds, until something that is being removed is gone; whether it is.

    Whoever cleans up returns when the place is clean, also if it was another who cleaned a part of it: two runs
    may find what the same third one left behind.
    """
    deadline = time.monotonic() + patience
    while is_left():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def kill_leftovers(which: Callable[[Run], bool] = ended) -> list[str]:
    """End the processes of these runs; what was ended."""
    killed = []
    dying: list[tuple[int, int | None]] = []
    for pid, run in marked_processes():
        if which(run) and pid != os.getpid():
            started = _started(pid)
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
            killed.append(f"process {pid} ({name}) of run {run.id}")
            dying.append((pid, started))
    wait_until_gone(lambda: any(started is not None and _started(pid) == started for pid, started in dying))
    return killed


class Subnet:
    """A private network `10.x.y.0/24` that no other run on this machine has chosen."""

    def __init__(self) -> None:
        self._reservation = socket.socket(socket.AF_UNIX)
        taken = _routes()
        for _ in range(200):
            self.prefix = f"10.{64 + secrets.randbelow(64)}.{secrets.randbelow(256)}"
            if self.prefix in taken:
                continue
            try:
                # An abstract name: no file, and gone with us, however we end.
                self._reservation.bind(f"\0serfcompat.testing {self.prefix}.0/24")
            except OSError:
                continue
            return
        self._reservation.close()
        raise SerfCompatError("no private network 10.64.0.0/10 is free: remove leftovers with `make interop-clean`")

    def __str__(self) -> str:
        return f"{self.prefix}.0/24"

    @property
    def gateway(self) -> str:
        """The runner's own address in it."""
        return f"{self.prefix}.1"

    def hosts(self) -> Iterator[str]:
        """Addresses for nodes."""
        return (f"{self.prefix}.{number}" for number in range(11, 250))

    def close(self) -> None:
        """Let others choose it."""
        self._reservation.close()


def _routes() -> set[str]:
    """Networks that this machine has routes to, as far as their first three bytes go."""
    found = set()
    try:
        lines = Path("/proc/net/route").read_text().splitlines()[1:]
    except OSError:
        return set()
    for line in lines:
        raw = bytes.fromhex(line.split()[1])[::-1]
        found.add(".".join(str(byte) for byte in raw[:3]))
    return found


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return "00000000"
    return f"{int(boot, 16) ^ space:08x}"


def _started(pid: int) -> int | None:
    """When a process started; None: there is none, or only what is left to be waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
