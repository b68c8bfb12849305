"""The real Go programs to test against, as Debian packages, in a folder; nothing is installed on the system.

    python -m serfcompat.testing.peers --into .peers serf-0.10.1

A peer that is there and runs is left alone, so calling this again costs next to nothing.

exit status: 0 all peers are there and run; 1 one could not be had (stderr says why); 2 wrong usage
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serfcompat.testing.debian import DebianError, Suite, archive, cache_folder, run, say


def peers_folder() -> Path:
    """Where peers are looked for unless told: $SERFCOMPAT_PEERS, `.peers` here, or the user's cache."""
    if named := os.environ.get("SERFCOMPAT_PEERS"):
        return Path(named)
    here = Path(".peers")
    return here if here.is_dir() else cache_folder() / "peers"


@dataclass(frozen=True)
class Peer:
    """A Go program that Debian ships."""

    name: str
    "Of its folder in .peers: program and upstream version."
    suite: str
    package: str
    binary: str
    "What the program is called in .peers."
    ask: Sequence[str]
    "Arguments that make it tell its version."
    answer: str
    "Regular expression that the answer has. ⚠ Both serf builds call themselves 0.8.2-dev."
    files: Sequence[str] = ()
    "What it wants to find at a fixed place; kept under the folder, at the same path."
    libraries: Sequence[str] = ()
    "Packages of libraries that not every machine has; then `binary` is a script that names them to the real one."

    @property
    def version(self) -> str:
        return self.name.rpartition("-")[2]

    def runs(self, path: Path) -> str | None:
        """None if it runs here, else what it said."""
        try:
            got = run([str(path), *self.ask], timeout=30)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return None if got.returncode == 0 and re.search(self.answer, got.stdout) else got.stdout.strip()[:300]


SERF = ("serf", "serf", ["version"], r"Agent Protocol: 5")
ALERTMANAGER = ("prometheus-alertmanager", "alertmanager", ["--version"])
TEMPLATES = "usr/share/prometheus/alertmanager/default.tmpl", "usr/share/prometheus/alertmanager/email.tmpl"
HAPROXY_LIBRARIES = (
    "liblua5.3-0",
    "libopentracing-c-wrapper0",
    "libopentracing1",
    "libpcre2-8-0",
    "libcrypt1",
    "libssl3",
)
PEERS = [
    Peer("serf-0.9.4", "bookworm", *SERF),
    Peer("serf-0.10.1", "trixie", *SERF),
    Peer("consul-1.8.7", "bullseye", "consul", "consul", ["version"], r"Consul v?1\.8\.7"),
    Peer("alertmanager-0.21", "bullseye", *ALERTMANAGER, r"version 0\.21", TEMPLATES[:1]),
    Peer("alertmanager-0.28", "trixie", *ALERTMANAGER, r"version 0\.28", TEMPLATES),
    Peer("haproxy-2.6", "bookworm", "haproxy", "haproxy", ["-v"], r"version 2\.6", libraries=HAPROXY_LIBRARIES),
]
DEFAULT = ["serf-0.9.4", "serf-0.10.1"]


class Fetcher:
    """Gets peers into a folder."""

    def __init__(self, into: Path, work: Path) -> None:
        self.into, self.work = into, work
        self._suites: dict[str, Suite | DebianError] = {}

    def present(self, peer: Peer) -> bool:
        wanted = ("debian-version", *peer.files)
        return all((self.into / peer.name / name).exists() for name in wanted) and not peer.runs(self.path(peer))

    def path(self, peer: Peer) -> Path:
        return self.into / peer.name / peer.binary

    def fetch(self, peer: Peer) -> None:
        suite = self._suite(peer.suite)
        say(f"downloading {peer.name}")
        tree = self.work / peer.name
        debian_version = suite.unpack([peer.package, *peer.libraries], tree)[peer.package]
        if not re.sub(r"^\d+:", "", debian_version).startswith(peer.version):
            raise DebianError(f"Debian {peer.suite} has {peer.package} {debian_version} now, not {peer.version}")
        # Whole, or not at all: made beside its place, then renamed.
        new = Path(tempfile.mkdtemp(prefix=f".{peer.name}.", dir=self.into))
        try:
            program = next(
                path for folder in ("bin", "sbin") if (path := tree / "usr" / folder / peer.package).exists()
            )
            shutil.copy2(program, new / peer.binary)
            if peer.libraries:
                _name_libraries(new, peer.binary, tree)
            if trouble := peer.runs(new / peer.binary):
                raise DebianError(f"it does not run here: {trouble}")
            for name in peer.files:
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(tree / name, new / name)
            (new / "debian-version").write_text(debian_version + "\n")
            new.chmod(0o755)
            target = self.into / peer.name
            shutil.rmtree(target, ignore_errors=True)
            new.rename(target)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _suite(self, name: str) -> Suite:
        if name not in self._suites:
            try:
                self._suites[name] = Suite(name, archive(), self.work / f"suite-{name}")
            except DebianError as error:
                self._suites[name] = error
        suite = self._suites[name]
        if isinstance(suite, DebianError):
            raise suite
        return suite


def _name_libraries(folder: Path, binary: str, tree: Path) -> None:
    """Keep a program's libraries beside it, and have a script of its name start it with them."""
    (folder / "lib").mkdir()
    for library in (path for path in tree.rglob("*.so*") if path.is_file() and path.parent.name.endswith("-linux-gnu")):
        shutil.copy2(library, folder / "lib" / library.name)
    (folder / binary).rename(folder / f"{binary}.bin")
    (folder / binary).write_text(
        f'#!/bin/sh\nhere=$(dirname "$0")\nLD_LIBRARY_PATH="$here/lib" exec "$here/{binary}.bin" "$@"\n'
    )
    (folder / binary).chmod(0o755)


def main(arguments: Sequence[str] | None = None, *, into: Path | None = None) -> int:
    """The command; `into` is where peers go unless it is told."""
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "peers", nargs="*", metavar="PEER", help=f"all, or of {', '.join(names)}; default {', '.join(DEFAULT)}"
    )
    parser.add_argument("--into", type=Path, metavar="DIR", help="default: %(default)s", default=into or peers_folder())
    parser.add_argument("--force", action="store_true", help="fetch again what is already there")
    parser.add_argument("--quiet", action="store_true", help="don't list what is there")
    given = parser.parse_args(arguments)
    wanted = names if given.peers == ["all"] else given.peers or DEFAULT
    if unknown := [name for name in wanted if name not in names]:
        parser.error(f"no such peer: {', '.join(unknown)}")

    given.into.mkdir(parents=True, exist_ok=True)
    missing = 0
    with tempfile.TemporaryDirectory(prefix="fetch-peers.") as work:
        fetcher = Fetcher(given.into.resolve(), Path(work))
        for peer in (peer for peer in PEERS if peer.name in wanted):
            try:
                if given.force or not fetcher.present(peer):
                    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
                        raise DebianError("this machine has no apt-get and dpkg-deb, which this works with")
                    fetcher.fetch(peer)
            except DebianError as error:
                say(f"cannot get {peer.name}: {error}")
                missing += 1
                continue
            if not given.quiet:
                version = (fetcher.path(peer).parent / "debian-version").read_text().strip()
                print(f"{peer.name:20} {version:24} {fetcher.path(peer)}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
