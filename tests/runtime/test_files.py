"""The snapshot and keyring files on a real file system."""

import os
import stat

import pytest

from serfcompat.runtime.files import SnapshotFile, write_keyring


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "snapshot")


def test_appends_wait_in_the_buffer_until_flushed(path):
    file = SnapshotFile(path)
    file.append(b"clock: 1\n", flush=False)
    assert file.read() == b""
    file.append(b"clock: 2\n", flush=True)
    assert file.read() == b"clock: 1\nclock: 2\n"
    file.close()


def test_a_full_buffer_is_written_without_being_asked(path):
    file = SnapshotFile(path)
    file.append(b"x" * 5000, flush=False)
    assert len(file.read()) == 5000
    file.close()


def test_reopening_appends_to_what_is_there(path):
    for line in (b"clock: 1\n", b"clock: 2\n"):
        file = SnapshotFile(path)
        file.append(line, flush=True)
        file.close()
    with open(path, "rb") as written:
        assert written.read() == b"clock: 1\nclock: 2\n"


def test_a_replaced_file_has_only_the_new_content_and_upstreams_mode(path):
    file = SnapshotFile(path)
    file.append(b"old\n", flush=True)
    file.append(b"still in the buffer\n", flush=False)
    before = os.umask(0)
    try:
        file.replace(b"new\n")
    finally:
        os.umask(before)
    file.append(b"more\n", flush=True)
    assert file.read() == b"new\nmore\n"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o755
    assert not os.path.exists(path + ".compact")
    file.close()


def test_a_failed_replacement_leaves_the_old_file(path):
    file = SnapshotFile(path)
    file.append(b"old\n", flush=True)
    os.mkdir(path + ".compact")
    with pytest.raises(OSError):
        file.replace(b"new\n")
    file.append(b"more\n", flush=True)
    assert file.read() == b"old\nmore\n"
    file.close()


def test_a_new_keyring_file_is_for_its_owner_only_and_an_old_mode_stays(tmp_path):
    path = str(tmp_path / "keyring")
    write_keyring(path, b"[]")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    os.chmod(path, 0o640)
    write_keyring(path, b'["x"]')
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    with open(path, "rb") as written:
        assert written.read() == b'["x"]'
