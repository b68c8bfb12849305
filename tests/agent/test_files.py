"""Tags files and keyring files, in agents of both kinds (spec agent §2.6, §2.7)."""

from __future__ import annotations

import json
import os
import signal

import pytest

from serfcompat.errors import RPCError
from serfcompat.rpc.client import Client

KEY = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8="
OTHER_KEY = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="
SETUP = "==> Starting Serf agent...\n==> Failed to setup the Serf agent: "


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.json"


def mode(path):
    return path.stat().st_mode & 0o777


# --- tags ------------------------------------------------------------------------------------------------------------


@pytest.mark.statement("A-146")
@pytest.mark.parametrize("flag", ["-tag=a=b", "-role=web"])
def test_a_tags_file_allows_no_other_tags(start, path, flag):
    out = start.refused(f"-tags-file={path}", flag)
    assert out.endswith(f"{SETUP}Tags config not allowed while using tag files\n")


@pytest.mark.statement("A-147", "A-148")
def test_a_tags_file_is_made_by_the_first_change(start, path):
    agent = start("n1", f"-tags-file={path}")
    assert not path.exists()
    with Client(agent.rpc) as client:
        client.update_tags({"b": "<2>", "a": "é"})
        assert path.read_bytes() == '{\n  "a": "é",\n  "b": "\\u003c2\\u003e"\n}'.encode()
        assert mode(path) == 0o600
        client.update_tags(delete=["a", "b"])
        assert path.read_bytes() == b"{}"


@pytest.mark.statement("A-149", "A-150")
def test_tags_are_restored_and_the_file_keeps_its_mode(start, path):
    path.write_text('{"role": "db", "dc": "east"}')
    path.chmod(0o640)
    agent = start("n1", f"-tags-file={path}")
    agent.wait_for(f"[INFO] agent: Restored 2 tag(s) from {path}")
    with Client(agent.rpc) as client:
        assert client.members()[0].tags == {"role": "db", "dc": "east"}
        client.update_tags({"x": "y"})
    assert json.loads(path.read_text()) == {"role": "db", "dc": "east", "x": "y"}
    assert mode(path) == 0o640


@pytest.mark.statement("A-151")
def test_tags_that_are_refused_stay_in_the_file(start, path):
    agent = start("n1", f"-tags-file={path}")
    with Client(agent.rpc) as client:
        with pytest.raises(RPCError, match="Encoded length of tags exceeds limit of 512 bytes"):
            client.update_tags({"a": "b" * 520})
        assert client.members()[0].tags == {}
    assert json.loads(path.read_text()) == {"a": "b" * 520}


@pytest.mark.statement("A-152")
def test_a_hangup_empties_a_tags_file(start, path):
    path.write_text('{"role": "db"}')
    agent = start("n1", f"-tags-file={path}")
    agent.settle()
    agent.signal(signal.SIGHUP)
    agent.wait_for("serf: EventMemberUpdate: n1")
    with Client(agent.rpc) as client:
        assert client.members()[0].tags == {}
    assert path.read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("content", "said"), [("{", "Failed to decode tags file: "), ("[1]", "Failed to decode tags file: ")]
)
def test_a_tags_file_that_is_none(start, path, content, said):
    path.write_text(content)
    assert start.refused(f"-tags-file={path}").startswith(SETUP + said)


def test_a_tags_file_that_cannot_be_written(start, tmp_path):
    path = tmp_path / "gone" / "tags.json"
    agent = start("n1", f"-tags-file={path}")
    with Client(agent.rpc) as client:
        with pytest.raises(RPCError, match="Failed to write tags file: "):
            client.update_tags({"a": "b"})
        assert client.members()[0].tags == {}


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.statement("A-153", "A-154")
def test_keyring_files_that_are_refused(start, path):
    flag = f"-keyring-file={path}"
    assert start.refused(flag) == f"{SETUP}stat {path}: no such file or directory\n"
    assert start.refused(flag, f"-encrypt={KEY}") == f"{SETUP}Encryption key not allowed while using a keyring\n"
    path.write_text("{")
    assert start.refused(flag).startswith(f"{SETUP}Failed to decode keyring file: ")
    path.write_text('["abc"]')
    assert start.refused(flag) == f"{SETUP}Failed to decode key from keyring: illegal base64 data at input byte 0\n"
    path.write_text("[]")
    assert start.refused(flag) == f"{SETUP}Keyring file contains no keys\n"
    path.write_text('["AAAA"]')
    assert start.refused(flag) == f"{SETUP}Failed to restore keyring: key size must be 16, 24 or 32 bytes\n"


@pytest.mark.statement("A-155", "A-156", "A-101")
def test_a_keyring_file_follows_the_keys(start, path):
    path.write_text(json.dumps([KEY, OTHER_KEY]))
    path.chmod(0o640)
    agent = start("n1", f"-keyring-file={path}", "-log-level=trace")
    agent.wait_for(f"[INFO] agent: Restored keyring with 2 keys from {path}")
    assert "Encrypted: true\n" in agent.output
    with Client(agent.rpc) as client:
        with pytest.raises(RPCError) as caught:  # the first one is the primary
            client.remove_key(KEY)
        assert "primary key is not allowed" in caught.value.reply.messages["n1"]
        client.use_key(OTHER_KEY)
        assert path.read_text() == f'[\n  "{OTHER_KEY}",\n  "{KEY}"\n]'
        client.remove_key(KEY)
        assert path.read_text() == f'[\n  "{OTHER_KEY}"\n]'
        client.install_key(KEY)
    assert json.loads(path.read_text()) == [OTHER_KEY, KEY]
    assert mode(path) == 0o640
    agent.kill()
    assert not any(key in agent.output for key in (KEY, OTHER_KEY))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_keyring_file_that_cannot_be_read(start, path):
    path.write_text("[]")
    path.chmod(0)
    assert start.refused(f"-keyring-file={path}").startswith(f"{SETUP}Failed to read keyring file: ")
