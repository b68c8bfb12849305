"""Packages of any Debian release, downloaded and unpacked without being installed.

    with tempfile.TemporaryDirectory() as work:
        suite = Suite("trixie", archive(), Path(work))
        suite.unpack(["serf"], Path("root"))

apt does the work, in folders of its own, so the machine itself may have another release, or be Ubuntu. The
archive's signature is checked against the Debian archive keyring. Root rights are not needed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from serfcompat.errors import SerfCompatError

KEYRINGS = [Path("/usr/share/keyrings", f"debian-archive-keyring.{end}") for end in ("gpg", "pgp")]
DEBIAN_SUITE = re.compile(r"(bullseye|bookworm|trixie|forky|sid|(old)*stable|testing|unstable)\Z")


class DebianError(SerfCompatError):
    """A package can't be had; the text says why."""


def say(text: str) -> None:
    """Tell on stderr what takes a while."""
    print(f"debian: {text}", file=sys.stderr, flush=True)


def run(
    command: Sequence[str], *, cwd: Path | None = None, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """A command that ended, with all that it printed in `stdout`."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        cwd=cwd,
        timeout=timeout,
    )


def sources(text: str) -> Iterator[tuple[str, str]]:
    """(URI, suite) of each entry in one of apt's source files, in either of their two formats."""
    for stanza in re.split(r"\n\s*\n", text):
        uris = re.search(r"^URIs:\s*(.+)$", stanza, re.MULTILINE | re.IGNORECASE)
        suites = re.search(r"^Suites:\s*(.+)$", stanza, re.MULTILINE | re.IGNORECASE)
        if uris and suites:
            yield from ((uri, suite) for uri in uris[1].split() for suite in suites[1].split())
    for line in re.finditer(r"^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", text, re.MULTILINE):
        yield line[1], line[2]


def cache_folder() -> Path:
    """What can be made again is kept here: `serfcompat` in $XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "serfcompat"


def archive() -> str:
    """URI of the Debian archive: $PEERS_MIRROR, or the one that this machine's apt uses."""
    if uri := os.environ.get("PEERS_MIRROR"):
        return uri.rstrip("/")
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        if file.is_file():
            for uri, suite in sources(file.read_text(encoding="utf-8", errors="replace")):
                if DEBIAN_SUITE.match(suite):
                    return uri.rstrip("/")
    raise DebianError("apt here knows no Debian archive: give its address in the variable PEERS_MIRROR")


class Suite:
    """The package lists of one Debian release, in a folder of their own."""

    def __init__(self, name: str, uri: str, folder: Path) -> None:
        keyring = next((path for path in KEYRINGS if path.exists()), None)
        if keyring is None:
            raise DebianError("no Debian archive keyring: apt-get install debian-archive-keyring")
        self.name, self.folder = name, folder
        for each in ("lists/partial", "cache/archives/partial"):
            (folder / each).mkdir(parents=True)
        (folder / "sources.list").write_text(f"deb [signed-by={keyring}] {uri} {name} main\n")
        (folder / "status").touch()
        settings = {
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": folder / "lists",
            "Dir::State::Status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Acquire::Languages": "none",
            "Acquire::Retries": 2,
            "Acquire::http::Timeout": 30,
            "APT::Sandbox::User": "root",  # the folder is ours alone; apt's own user could not read it
            "APT::Update::Error-Mode": "any",
        }
        self.options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        say(f"reading the package list of Debian {name}")
        got = run(["apt-get", "-q", *self.options, "update"])
        if got.returncode and re.search("expired|not valid yet", got.stdout):
            # An old suite, or a clock that is off. The signature is checked all the same.
            self.options += ["-o", "Acquire::Check-Valid-Until=false", "-o", "Acquire::Check-Date=false"]
            got = run(["apt-get", "-q", *self.options, "update"])
        if got.returncode:
            lines = [line for line in got.stdout.splitlines() if line.startswith(("E:", "W:", "Err"))]
            raise DebianError(f"Debian {name} cannot be read, or its signature is wrong: {' '.join(lines[-3:])}")

    def download(self, packages: Sequence[str], *, depends: bool = False) -> list[Path]:
        """Package files, with all that they depend on if asked for; whatever is on this machine counts for nothing."""
        debs = Path(tempfile.mkdtemp(prefix="debs.", dir=self.folder))
        if depends:
            command = ["--yes", "--no-install-recommends", "--download-only", "-o", f"Dir::Cache::archives={debs}"]
            (debs / "partial").mkdir()
            got = run(["apt-get", "-q", *self.options, *command, "install", *packages])
        else:
            got = run(["apt-get", "-q", *self.options, "download", *packages], cwd=debs)
        found = sorted(debs.glob("*.deb"))
        if got.returncode or not found:
            names = ", ".join(packages)
            raise DebianError(f"cannot download {names} of Debian {self.name}: {got.stdout.strip()[-300:]}")
        return found

    def unpack(self, packages: Sequence[str], into: Path, *, depends: bool = False) -> dict[str, str]:
        """Unpack packages there, running none of their scripts; the Debian version of each.

        A folder of `into` that is a symbolic link, such as `lib`, stays one.
        """
        versions = {}
        into.mkdir(parents=True, exist_ok=True)
        for deb in self.download(packages, depends=depends):
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as tar:
                got = subprocess.run(
                    ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(into)],
                    stdin=tar.stdout,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            if got.returncode or tar.returncode:
                raise DebianError(f"cannot unpack {deb.name}: {got.stderr.strip()[-300:]}")
            name, version = run(["dpkg-deb", "--show", "--showformat=${Package} ${Version}", str(deb)]).stdout.split()
            versions[name] = version
        return versions
