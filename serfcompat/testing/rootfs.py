"""Small root file systems made of Debian packages, and the archive that a container engine takes for an image.

The same packages give the same archive, byte for byte: entries are sorted, and belong to root, at time zero.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from importlib import metadata, util
from pathlib import Path

from serfcompat.errors import SerfCompatError
from serfcompat.testing.debian import Suite, run, say

APP = Path("opt/serfcompat")
"Where this project is in an image, with what it needs; PYTHONPATH names it."
_DEAD_WEIGHT = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/i18n",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/perl5",
    "usr/share/zoneinfo",
    "usr/share/consul",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/x86_64-linux-gnu/perl",
    "usr/lib/systemd",
    "usr/share/gdb",
)
_LOADER, _LIBRARIES = "usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"


class ImageError(SerfCompatError):
    """An image can't be made or had; the text says what to do."""


def unpack(suite: Suite, packages: Sequence[str], root: Path, *, depends: bool) -> dict[str, str]:
    """Make a root file system of these packages; the Debian version of each."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    versions = suite.unpack(packages, root, depends=depends)
    for name in _DEAD_WEIGHT:
        shutil.rmtree(root / name, ignore_errors=True)
    for name in ("dev", "etc", "proc", "run", "sys", "tmp", "var"):
        (root / name).mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    if (root / "usr/bin/busybox").exists():
        for applet in ("sh", "cat", "sleep", "env"):
            if not (root / "usr/bin" / applet).exists():
                (root / "usr/bin" / applet).symlink_to("busybox")
    return versions


def add_requirements(root: Path, version: str) -> None:
    """Put what serfcompat needs under `APP`, as wheels for that version of Python. ImageError: they can't be had.

    The versions are those that are installed here.
    """
    target = root / APP
    constraints = root.parent / "constraints"
    installed = {dist.name: dist.version for dist in metadata.distributions() if dist.name.lower() != "serfcompat"}
    constraints.write_text("".join(f"{name}=={number}\n" for name, number in sorted(installed.items())))
    needs = [each for each in metadata.requires("serfcompat") or [] if "extra ==" not in each]
    say(f"getting {', '.join(needs)} for Python {version}")
    platforms = [f"--platform=manylinux_2_{minor}_x86_64" for minor in (17, 28, 34)] + [
        "--platform=manylinux2014_x86_64"
    ]
    got = run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"),
            *(f"--target={target}", f"--python-version={version}", "--implementation=cp", "--only-binary=:all:"),
            *(f"--constraint={constraints}", *platforms, *needs),
        ]
    )
    if got.returncode:
        raise ImageError(f"pip cannot get what serfcompat needs on Python {version}: {got.stdout.strip()[-400:]}")
    shutil.rmtree(target / "bin", ignore_errors=True)  # scripts that name this machine's interpreter


def add_serfcompat(source: Path, root: Path) -> None:
    """Put this project under `APP`."""
    shutil.copytree(source, root / APP / "serfcompat", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    version = metadata.version("serfcompat")
    told = root / APP / f"serfcompat-{version}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: serfcompat\nVersion: {version}\n")


def source_folder() -> Path:
    """The package `serfcompat` that is running."""
    spec = util.find_spec("serfcompat")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def source_digest(source: Path) -> str:
    """What the package's files are, in one word."""
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so":
            digest.update(f"{path.relative_to(source)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def compile_python(root: Path, folders: Sequence[str]) -> None:
    """Compile the Python files of a root file system with its own interpreter, or each start would do it again.

    Its own loader starts it, so neither root rights nor this machine's Python are needed.
    """
    python = root / "usr/bin/python3"
    command = [str(root / _LOADER), "--library-path", str(root / _LIBRARIES), str(python.resolve())]
    # What it imports itself isn't to be written: that would have the time in it.
    environment = {"PYTHONHOME": str(root / "usr"), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    # ⚠ Not side by side (`-j`): the other processes would be started without the loader.
    options = ["-q", "--invalidation-mode=unchecked-hash", "-s", str(root), "-p", "/"]
    done = subprocess.run(
        [*command, "-m", "compileall", *options, *(str(root / folder) for folder in folders)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    # Not by the status: it is 1 also when a file that is meant for another version doesn't compile.
    sources = sum(1 for folder in folders for _ in (root / folder).rglob("*.py"))
    compiled = sum(1 for folder in folders for _ in (root / folder).rglob("*.pyc"))
    if compiled < 0.95 * sources:
        told = (done.stdout + done.stderr).strip()[-400:]
        raise ImageError(f"the image's Python compiled {compiled} of {sources} files here: {told}")


def archive(root: Path, target: Path) -> str:
    """Write the file system as a tar file; its SHA-256."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in _walk(root):
            entry = tar.gettarinfo(path, str(path.relative_to(root)))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = 0
            if entry.isdir():
                entry.mode = 0o1777 if entry.name in ("tmp", "var/tmp") else 0o755
            if entry.isfile():
                with path.open("rb") as file:
                    tar.addfile(entry, file)
            else:
                tar.addfile(entry)
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _walk(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if not path.is_socket() and not path.is_fifo():
            yield path
