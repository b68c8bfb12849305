"""How the nodes of a mixed cluster are told."""

from __future__ import annotations

import pytest

from serfcompat.errors import UsageError
from serfcompat.testing.mixed import MixedCluster
from serfcompat.testing.programs import NotHere, Program, parse


@pytest.mark.parametrize(
    ("wanted", "versions"),
    [
        (2, ["0.10.1", "0.10.1"]),
        (0, []),
        ("0.9.4", ["0.9.4"]),
        ("0.9.4:2", ["0.9.4", "0.9.4"]),
        ("0.9.4:1,0.10.1:2", ["0.9.4", "0.10.1", "0.10.1"]),
        ("0.9.4 0.10.1", ["0.9.4", "0.10.1"]),
    ],
)
def test_numbers_and_versions(wanted, versions):
    assert parse("go", wanted) == [Program("go", version) for version in versions]


@pytest.mark.parametrize("wanted", ["", "three", "0.9.4:", "0.9.4:x", ":3"])
def test_anything_else_is_wrong_usage(wanted):
    with pytest.raises(UsageError, match=r"VERSION:NUMBER such as 0\.10\.1:3"):
        parse("go", wanted)


def test_processes_run_no_other_python_and_say_so():
    with pytest.raises(NotHere, match=r"not on 3\.9"):
        Program("py", "3.9").kind()


def test_a_go_agent_that_is_not_there_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("SERFCOMPAT_PEERS", str(tmp_path))
    with pytest.raises(NotHere, match=r"python -m serfcompat\.testing\.peers"):
        Program("go", "0.10.1").kind()


@pytest.mark.parametrize("size", [1, 15, 33])
def test_a_key_has_one_of_three_sizes(size):
    with pytest.raises(UsageError, match="16, 24 or 32 bytes"):
        MixedCluster(py=1, encrypt=size)


@pytest.mark.parametrize(("encrypt", "size"), [(True, 32), (16, 16), (24, 24), (b"k" * 16, 16)])
def test_keys(encrypt, size):
    assert len(MixedCluster(py=1, encrypt=encrypt).key) == size
    assert MixedCluster(py=1, encrypt=encrypt).key != b"\0" * size


def test_nodes_are_numbered_by_program():
    assert list(MixedCluster(go="0.9.4:1,0.10.1:1", py=2).programs) == ["go1", "go2", "py1", "py2"]


def test_a_cluster_that_was_not_started_says_how():
    with pytest.raises(UsageError, match="`with` block"):
        MixedCluster(py=1).on
