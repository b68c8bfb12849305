"""RPC clients that others wrote, for tests and benchmarks that need them, each in a folder of its own under build/."""

from __future__ import annotations

import subprocess
import sys
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path

BUILD = Path(__file__).resolve().parents[1] / "build" / "clients"
REQUIREMENTS = {
    "serfclient": ["serfclient==1.2.0", "msgpack==1.1.0", "setuptools==75.8.0"],
    "serfio": ["serfio==0.3.3", "msgpack==1.1.0"],
    # Both take raw bytes for keys, as msgpack gave them by default until 1.0.
    "asyncserf": ["asyncserf==0.21.1", "anyio==3.7.1", "async_generator==1.10", "msgpack==0.6.2"],
    "trio_serf": ["trio-serf==0.4.0", "trio==0.19.0", "msgpack==0.6.2"],
}
"The versions that work, on Pythons that they were not made for."


class ClientError(Exception):
    """A client can't be had; the text says why."""


def installed(client: str) -> Path:
    """The folder that has a client and its requirements, to be put on Python's path. Raises ClientError."""
    wanted = REQUIREMENTS[client]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = BUILD / f"{client}-{python}-{sha256(str(wanted).encode()).hexdigest()[:8]}"
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not (folder / "done").exists():
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
            got = subprocess.run([*pip, "--target", str(folder), *wanted], capture_output=True, text=True, check=False)
            if got.returncode:
                raise ClientError(f"{client} can't be had: {got.stderr[-500:]}")
            (folder / "done").touch()
    return folder
