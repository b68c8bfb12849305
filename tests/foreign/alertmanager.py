"""Alertmanagers for tests, on addresses of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Self

import pytest

from tests.agents import free_host
from tests.foreign.program import Program
from tests.peers import peer

CLUSTER_PORT, WEB_PORT = 9094, 9093
CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


class Alertmanager(Program):
    """One; in a `with` block it is ready to be asked."""

    def __init__(self, version: str, folder: Path, *peers: str, label: str = "") -> None:
        self.host = free_host(CLUSTER_PORT)
        self.gossip = f"{self.host}:{CLUSTER_PORT}"
        folder = folder / self.host
        folder.mkdir()
        (folder / "alertmanager.yml").write_text(CONFIG)
        binary = peer("alertmanager", version)
        super().__init__(
            f"alertmanager {version} at {self.host}",
            [
                *_with_share(Path(binary).parent / "usr/share"),
                binary,
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder}",
                f"--web.listen-address={self.host}:{WEB_PORT}",
                f"--cluster.listen-address={self.gossip}",
                f"--cluster.advertise-address={self.gossip}",
                "--log.level=debug",
                *([f"--cluster.label={label}"] if label else []),
                *(f"--cluster.peer={each}" for each in peers),
            ],
        )

    def __enter__(self) -> Self:
        try:
            self.wait_until(self._is_ready, bool, what="answering")
        except BaseException:
            self.stop()
            raise
        return self

    def _is_ready(self) -> bool:
        try:
            return bool(self.get("/-/ready"))
        except OSError:
            return False

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.host}:{WEB_PORT}{path}", timeout=10) as answer:
            return answer.read().decode()

    def peers(self) -> dict[str, str]:
        """Name → address of the peers that it shows, itself included."""
        cluster = json.loads(self.get("/api/v2/status"))["cluster"]
        return {peer["name"]: peer["address"] for peer in cluster.get("peers", [])}

    def wait_for_peers(self, wanted: set[str], limit: float = 40.0) -> None:
        """Until these addresses are its peers."""
        self.wait_until(lambda: set(self.peers().values()), lambda found: found == wanted, limit=limit)

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        return float(re.search(rf"^{name} (\S+)$", self.get("/metrics"), re.MULTILINE)[1])

    def complaints(self) -> list[str]:
        """Warnings and errors of its log."""
        return [line for line in self.log if re.search(r"level=(warn|error)", line, re.IGNORECASE)]


def _with_share(share: Path) -> list[str]:
    """What to put before a command that shall find this folder at /usr/share, without anybody else noticing.

    Debian's build reads its templates there and nowhere else.
    """
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", "--mount", *user, "sh", "-c", 'mount --bind "$0" /usr/share && exec "$@"', str(share)]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
        return command
    if Path("/usr/share/prometheus/alertmanager/default.tmpl").exists():
        return []
    pytest.skip("Alertmanager wants its templates in /usr/share, and this machine lets nobody mount them there")
