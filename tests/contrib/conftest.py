"""Hosts, and a node that watches them."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serfcompat import Config, Serf
from serfcompat.contrib import LocalSerf
from serfcompat.serf.events import EventType
from tests.agents import free_host
from tests.contrib.hosts import PORT, Host


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory with a short path, which anybody may enter: a socket's path has 107 bytes at most."""
    path = Path(tempfile.mkdtemp(prefix="sc-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def host(short_dir: Path) -> Iterator[object]:
    """Makes hosts; the workers and members of all end with the test. On failure their logs are printed."""
    hosts: list[Host] = []
    with contextlib.ExitStack() as stack:

        def make(name: str = "web", **settings: object) -> Host:
            made = Host(short_dir, name, **settings)
            hosts.append(made)
            stack.callback(made.close)
            return made

        yield make
    for each in hosts:
        if each.log.exists():
            print(f"-- {each.log.name}\n{each.log.read_text()}")


@pytest.fixture
def watcher() -> Iterator[Serf]:
    """A member that sees what the hosts' members do."""
    with Serf(Config.local(node_name="watcher", bind_addr=free_host(), bind_port=PORT)) as serf:
        yield serf


@pytest.fixture
def seen(watcher: Serf) -> Callable[[], list[str]]:
    """What the watcher is told of others' status: `failed web` and the like."""
    kinds = {EventType.MEMBER_JOIN: "join", EventType.MEMBER_FAILED: "failed", EventType.MEMBER_LEAVE: "left"}
    events = watcher.events(["member-join", "member-failed", "member-leave"])
    told: list[str] = []

    def look() -> list[str]:
        with contextlib.suppress(TimeoutError):
            while True:
                event = events.get(timeout=0)
                told.extend(f"{kinds[event.type]} {member.name}" for member in event.members)
        return [each for each in told if not each.endswith(" watcher")]

    return look


@pytest.fixture
def fresh_local(monkeypatch: pytest.MonkeyPatch, host: object) -> Iterator[LocalSerf]:
    """`local()` as in a new process. It ends before the hosts do."""
    serf = LocalSerf()
    monkeypatch.setattr(sys.modules["serfcompat.contrib.local"], "_local", serf)
    yield serf
    serf.close()
