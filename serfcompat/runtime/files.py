"""Files of a node: the snapshot, appended through a buffer, and the keyring file (spec serf §7.4, §9)."""

from __future__ import annotations

import os
from pathlib import Path

BUFFER = 4096
"Bytes held back before they are handed to the system, as upstream's writer does."
_SNAPSHOT_MODE = 0o644
_COMPACTED_MODE = 0o755
"Executable, yes: what upstream gives a compacted snapshot."
_KEYRING_MODE = 0o600


class SnapshotFile:
    """An open snapshot. After a failure it is closed; the next `replace` opens it again."""

    def __init__(self, path: str) -> None:
        """Raises OSError if it can't be opened."""
        self._path = path
        self._buffer = bytearray()
        self._fd: int | None = self._open()

    def read(self) -> bytes:
        """The whole file as it stands on disk."""
        return Path(self._path).read_bytes()

    def append(self, data: bytes, *, flush: bool) -> None:
        """Add to the buffer; hand it to the system if asked to, or when it is full. Raises OSError."""
        self._buffer += data
        if flush or len(self._buffer) > BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hand the buffer to the system. Raises OSError; what was not written stays in the buffer."""
        while self._buffer:
            if self._fd is None:
                self._fd = self._open()
            written = os.write(self._fd, self._buffer)
            del self._buffer[:written]

    def sync(self) -> None:
        """Flush, and wait until it is on disk. Raises OSError."""
        self.flush()
        if self._fd is not None:
            os.fsync(self._fd)

    def replace(self, data: bytes) -> None:
        """Put a new file in this one's place, whole or not at all. Raises OSError, and the old one stays."""
        fresh = self._path + ".compact"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _COMPACTED_MODE)
        try:
            _write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        # Upstream deletes the old file first, and loses both if it dies in between.
        os.replace(fresh, self._path)
        self._buffer.clear()
        self.close()
        self._fd = self._open()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _SNAPSHOT_MODE)


def write_keyring(path: str, data: bytes) -> None:
    """Write the keyring file in place; mode 0600 if it is new, an existing mode stays. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _KEYRING_MODE)
    try:
        _write_all(fd, data)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
