"""Container images for test clusters, made from Debian packages: no registry is needed.

    python -m serfcompat.testing.images                      all that are made by default
    python -m serfcompat.testing.images serf:0.10.1 --force  one, anew

What is made is kept in the user's cache and in the engine, and made again only when its recipe, or this project,
has changed. Where a registry is reachable, any image will do instead: `$SERFCOMPAT_IMAGE_SERF_0_10_1=registry/serf:1`.

exit status: 0 all images are there; 1 one could not be made (stderr says why); 2 wrong usage
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serfcompat.testing import rootfs
from serfcompat.testing.debian import DebianError, Suite, archive, cache_folder, say
from serfcompat.testing.rootfs import ImageError

REPOSITORY = "serfcompat-interop"
RECIPES = Path(__file__).with_name("images.toml")
LABEL = "serfcompat.image"
"Label of an image: what it was made of, in one word."
SOURCE = f"{LABEL}.source"
"Label of an image: the folder of the project that made it."
_BUILDER = "2"
"Changed when the same recipe gives something else than before."


@dataclass(frozen=True, slots=True)
class Recipe:
    """One entry of `images.toml`, which says what the fields mean."""

    name: str
    version: str
    suite: str
    packages: tuple[str, ...]
    entrypoint: tuple[str, ...]
    python: bool = False
    default: bool = True

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def variable(self) -> str:
        """The environment variable that names another image for it."""
        return "SERFCOMPAT_IMAGE_" + re.sub(r"\W", "_", f"{self.name}_{self.version}").upper()


def recipes(file: Path = RECIPES) -> dict[str, Recipe]:
    """All images that can be made, by `name:version`."""
    entries = tomllib.loads(file.read_text(encoding="utf-8"))["image"]
    found = {}
    for entry in entries:
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}
        recipe = Recipe(**fields)
        found[str(recipe)] = recipe
    return found


class Builder:
    """Makes images, and hands them to an engine."""

    def __init__(self, engine: Any, cache: Path | None = None) -> None:
        """
        Args:
            engine: A `docker.DockerClient`.
            cache: Where root file systems are kept.
        """
        self._engine = engine
        self._cache = (cache or cache_folder()) / "images"
        self._cache.mkdir(parents=True, exist_ok=True)

    def image(self, recipe: Recipe, *, force: bool = False) -> str:
        """The image's name in the engine, which has it after this. ImageError, DebianError: it can't be had."""
        if named := os.environ.get(recipe.variable):
            return named
        key = _digest(asdict(recipe), rootfs.source_digest(rootfs.source_folder()) if recipe.python else "")
        name = f"{REPOSITORY}/{recipe.name}:{recipe.version}-{key[:12]}"
        with self._lock(recipe):
            if force or not self._has(name):
                self._make(recipe, name, force)
        return name

    def archive(self, recipe: Recipe, into: Path, *, force: bool = False) -> str:
        """Write the image's only layer as a tar file; its SHA-256."""
        base = self._base(recipe, force)
        if not recipe.python:
            return rootfs.archive(base, into)
        with tempfile.TemporaryDirectory(dir=self._cache) as work:
            root = Path(work, "root")
            shutil.copytree(base, root, symlinks=True, copy_function=_link)
            rootfs.add_serfcompat(rootfs.source_folder(), root)
            rootfs.compile_python(root, [str(rootfs.APP / "serfcompat")])
            return rootfs.archive(root, into)

    def _make(self, recipe: Recipe, name: str, force: bool) -> None:
        with tempfile.NamedTemporaryFile(dir=self._cache, suffix=".tar") as tar:
            digest = self.archive(recipe, Path(tar.name), force=force)
            repository, _, tag = name.partition(":")
            changes = [
                f"ENTRYPOINT {json.dumps(recipe.entrypoint)}",
                f"LABEL {LABEL}={digest}",
                f"LABEL {SOURCE}={json.dumps(str(rootfs.source_folder()))}",
                f"ENV PYTHONPATH=/{rootfs.APP} PYTHONUNBUFFERED=1",
            ]
            say(f"handing {name} to the engine")
            answer = self._engine.api.import_image_from_file(tar.name, repository=repository, tag=tag, changes=changes)
            if '"error"' in answer:
                raise ImageError(f"the engine refused {name}: {answer[-300:]}")
        self._engine.images.get(name).tag(f"{REPOSITORY}/{recipe.name}", recipe.version)
        self._forget_older(recipe, name)

    def _base(self, recipe: Recipe, force: bool) -> Path:
        """The root file system without this project, made unless it is kept."""
        key = _digest(asdict(recipe), sorted(_requirements()) if recipe.python else "")
        folder = self._cache / f"{recipe.name}-{recipe.version}-{key[:12]}"
        if force:
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=self._cache) as work:
                self._fill(recipe, Path(work))
                Path(work, "root").rename(folder)
        return folder

    def _fill(self, recipe: Recipe, work: Path) -> None:
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            raise ImageError(
                f"{recipe} is made of Debian packages, and this machine has no apt-get and dpkg-deb: "
                f"name an image for it in {recipe.variable}"
            )
        suite = Suite(recipe.suite, archive(), work / "suite")
        say(f"unpacking {', '.join(recipe.packages)} of Debian {recipe.suite}")
        root = work / "root"
        versions = rootfs.unpack(suite, recipe.packages, root, depends=recipe.python)
        if not recipe.python and not re.sub(r"^\d+:", "", versions[recipe.packages[0]]).startswith(recipe.version):
            raise ImageError(f"Debian {recipe.suite} has {versions} now, not {recipe}")
        if recipe.python:
            rootfs.add_requirements(root, recipe.version)
            rootfs.compile_python(root, [f"usr/lib/python{recipe.version}", str(rootfs.APP)])
        lines = [f"{package} {version}\n" for package, version in sorted(versions.items())]
        (root / "etc/packages").write_text("".join(lines))

    def _has(self, name: str) -> bool:
        import docker.errors

        try:
            self._engine.images.get(name)
        except docker.errors.ImageNotFound:
            return False
        return True

    def _forget_older(self, recipe: Recipe, name: str) -> None:
        """Remove what this very project, or one that is gone, gave for the recipe before, unless containers use it."""
        import docker.errors

        for image in self._engine.images.list(f"{REPOSITORY}/{recipe.name}"):
            source = Path(image.labels.get(SOURCE, ""))
            if source != rootfs.source_folder() and source.exists():
                continue
            for tag in image.tags:
                if tag.startswith(f"{REPOSITORY}/{recipe.name}:{recipe.version}-") and tag != name:
                    try:
                        self._engine.images.remove(tag)
                    except docker.errors.APIError:
                        say(f"{tag} is still in use")

    @contextmanager
    def _lock(self, recipe: Recipe) -> Iterator[None]:
        """Let nobody else on this machine make the same image meanwhile."""
        with (self._cache / f"{recipe.name}-{recipe.version}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _digest(*what: object) -> str:
    return hashlib.sha256(json.dumps([_BUILDER, *what], default=str).encode()).hexdigest()


def _requirements() -> Sequence[str]:
    from importlib import metadata

    return [each for each in metadata.requires("serfcompat") or [] if "extra ==" not in each]


def _link(source: str, target: str) -> None:
    """A second name instead of a copy: nobody writes to either."""
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
    else:
        os.link(source, target)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    known: Mapping[str, Recipe] = recipes()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = [name for name, recipe in known.items() if recipe.default]
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", help=f"of {', '.join(known)}; default {', '.join(defaults)}"
    )
    parser.add_argument("--force", action="store_true", help="make anew what is already there")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.images if name not in known]:
        parser.error(f"no such image: {', '.join(unknown)}")
    try:
        import docker
    except ImportError:
        parser.error("the docker SDK is missing: pip install 'serfcompat[interop]'")
    try:
        engine = docker.from_env()
        engine.ping()
    except docker.errors.DockerException as error:
        print(f"images: no container engine answers: {error}", file=sys.stderr)
        return 1
    failed = 0
    builder = Builder(engine)
    for name in given.images or defaults:
        try:
            image = builder.image(known[name], force=given.force)
        except (ImageError, DebianError) as error:
            print(f"images: cannot make {name}: {error}", file=sys.stderr)
            failed += 1
            continue
        size = engine.images.get(image).attrs["Size"] / 1e6
        print(f"{name:20} {size:6.1f} MB  {image}")
    engine.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
