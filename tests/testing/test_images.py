"""Images made of Debian packages: recipes, root file systems and their archives."""

from __future__ import annotations

import os
import sys
import tarfile

import pytest

from serfcompat.testing import images, rootfs
from serfcompat.testing.debian import DebianError


def test_every_recipe_is_told_apart_and_has_a_variable_of_its_own():
    known = images.recipes()
    assert {"serf:0.9.4", "serf:0.10.1", "serfcompat:3.11", "serfcompat:3.13"} <= set(known)
    assert len({recipe.variable for recipe in known.values()}) == len(known)
    assert known["serf:0.10.1"].variable == "SERFCOMPAT_IMAGE_SERF_0_10_1"


def test_an_image_may_be_named_instead_of_made(monkeypatch, tmp_path):
    recipe = images.recipes()["serf:0.10.1"]
    monkeypatch.setenv(recipe.variable, "registry.test/serf:1")
    assert images.Builder(engine=None, cache=tmp_path).image(recipe) == "registry.test/serf:1"


def tree(root):
    (root / "b/c").mkdir(parents=True)
    (root / "b/c/file").write_text("text")
    (root / "tool").write_text("#!")
    (root / "tool").chmod(0o755)
    (root / "lib").symlink_to("b")
    (root / "tmp").mkdir()


def test_the_same_files_give_the_same_archive(tmp_path):
    digests = []
    for name, when in (("one", 1), ("two", 1_000_000_000)):
        tree(tmp_path / name)
        os.utime(tmp_path / name / "tool", (when, when))
        digests.append(rootfs.archive(tmp_path / name, tmp_path / f"{name}.tar"))
    assert digests[0] == digests[1]
    with tarfile.open(tmp_path / "one.tar") as tar:
        entries = {entry.name: entry for entry in tar}
    assert list(entries) == ["b", "b/c", "b/c/file", "lib", "tmp", "tool"]
    assert {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in entries.values()} == {(0, 0, "", 0)}
    assert entries["lib"].linkname == "b"
    assert entries["tool"].mode == 0o755
    assert entries["tmp"].mode == 0o1777


def test_one_changed_byte_gives_another_archive_and_digest(tmp_path):
    tree(tmp_path / "one")
    before = rootfs.archive(tmp_path / "one", tmp_path / "1.tar"), rootfs.source_digest(tmp_path / "one")
    (tmp_path / "one/b/c/file").write_text("texT")
    after = rootfs.archive(tmp_path / "one", tmp_path / "2.tar"), rootfs.source_digest(tmp_path / "one")
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_what_python_leaves_behind_is_no_change_of_the_source(tmp_path):
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "a.py").write_text("")
    before = rootfs.source_digest(tmp_path)
    (tmp_path / "__pycache__/a.cpython-311.pyc").write_text("")
    assert rootfs.source_digest(tmp_path) == before


def test_this_project_is_put_where_the_images_python_finds_it(tmp_path):
    rootfs.add_serfcompat(rootfs.source_folder(), tmp_path)
    assert (tmp_path / "opt/serfcompat/serfcompat/testing/images.toml").exists()
    assert next((tmp_path / "opt/serfcompat").glob("serfcompat-*.dist-info/METADATA")).exists()
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["serf:0.10.1", "serfcompat:3.13"])
def test_the_same_packages_give_the_same_image_byte_for_byte(name, tmp_path):
    digests = []
    for attempt in ("one", "two"):
        builder = images.Builder(engine=None, cache=tmp_path / attempt)
        try:
            digests.append(builder.archive(images.recipes()[name], tmp_path / f"{attempt}.tar"))
        except DebianError as error:
            pytest.skip(str(error))
    assert digests[0] == digests[1]


def test_an_unknown_image_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        images.main(["serf:0.0.1"])
    assert ended.value.code == 2
    assert "no such image: serf:0.0.1" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="Debian's tools")
def test_a_machine_without_apt_is_told_what_to_do_instead(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(rootfs.ImageError, match="SERFCOMPAT_IMAGE_SERF_0_10_1"):
        images.Builder(engine=None, cache=tmp_path).archive(images.recipes()["serf:0.10.1"], tmp_path / "out.tar")
