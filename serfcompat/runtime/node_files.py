"""The files that a Serf node keeps, snapshot and keyring, as its engine wants them written (spec serf §7.4, §9)."""

from __future__ import annotations

import logging

from serfcompat.errors import StartError
from serfcompat.runtime.files import SnapshotFile, write_keyring
from serfcompat.runtime.node import Node
from serfcompat.serf.config import Config
from serfcompat.serf.effects import AppendSnapshot, ReplaceSnapshot, SyncSnapshot, WriteKeyring
from serfcompat.serf.engine import SerfEngine
from serfcompat.serf.snapshot import Snapshot


class NodeFiles:
    """What fails is told to the engine, which knows what to do about it."""

    def __init__(self, config: Config, node: Node[SerfEngine], log: logging.Logger) -> None:
        self._snapshot_path = config.snapshot_path
        self._keyring_path = config.keyring_file
        self._rejoin_after_leave = config.rejoin_after_leave
        self._node = node
        self._log = log
        self._snapshot: SnapshotFile | None = None

    def open(self) -> Snapshot | None:
        """What the snapshot file says; None if none is kept. Raises StartError."""
        path = self._snapshot_path
        if not path:
            return None
        try:
            self._snapshot = SnapshotFile(path)
            data = self._snapshot.read()
        except OSError as error:
            reason = f"failed to open snapshot: open {path}: {_why(error)}"
            raise StartError(f"Failed to setup snapshot: {reason}") from error
        return Snapshot.replay(data, rejoin_after_leave=self._rejoin_after_leave, log=self._log)

    def close(self) -> None:
        """Let the snapshot go, as it is on disk."""
        if self._snapshot is not None:
            self._snapshot.close()

    def write_snapshot(self, effect: AppendSnapshot | SyncSnapshot | ReplaceSnapshot, now_ns: int) -> None:
        file = self._snapshot
        assert file is not None
        try:
            match effect:
                case AppendSnapshot(data, flush):
                    file.append(data, flush=flush)
                case SyncSnapshot(close):
                    file.sync()
                    if close:
                        file.close()
                case ReplaceSnapshot(data, recovery):
                    file.replace(data)
                    if recovery:
                        self._node.engine.on_snapshot_recovered()
        except OSError as error:
            self._node.ring.perform(self._node.engine.on_snapshot_failed(effect, _why(error), now_ns))

    def write_keyring(self, effect: WriteKeyring, now_ns: int) -> None:
        problem: str | None = None
        try:
            write_keyring(self._keyring_path, effect.data)
        except OSError as error:
            problem = f"open {self._keyring_path}: {_why(error)}"
        self._node.ring.perform(self._node.engine.on_keyring_written(effect.request, problem, now_ns))


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
