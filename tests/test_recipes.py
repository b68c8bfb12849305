"""The recipes of `examples/`, each doing what it is for: failover, pushes, elections, pools of servers."""

from __future__ import annotations

import base64
import contextlib
import http.server
import re
import resource
import subprocess
import sys
import threading
import urllib.request
from collections import Counter

import pytest

from serfcompat import Config, JoinError, Serf
from tests.example_programs import EXAMPLES, Program, free_address, node, starter, where
from tests.peers import peer

pytestmark = pytest.mark.socket


@pytest.fixture
def run():
    with starter() as start:
        yield start


def kill(program: Program) -> None:
    """End it as a crash does."""
    program.process.kill()


# -- feature flags ---------------------------------------------------------------------------------


def test_flags_reach_all_and_those_who_come_later(run):
    with node("seed") as seed:
        one = run("feature_flags.py", "one", free_address(), where(seed))
        two = run("feature_flags.py", "two", free_address(), where(seed))
        for program in (one, two):
            program.until("ready")
        seed.user_event("flags", b'{"version": 7, "dark-mode": true}')
        for program in (one, two):
            program.until('flags: {"version": 7, "dark-mode": true}')
        for nonsense in (b"", b"[7]", b'{"version": "9"}', b'{"version": 6}', b"\xff"):
            seed.user_event("flags", nonsense)
        late = run("feature_flags.py", "late", free_address(), where(seed))
        assert late.line() == 'flags: {"version": 7, "dark-mode": true}'
        assert late.line() == "ready"
        seed.user_event("flags", b'{"version": 8}')
        for program in (one, two, late):
            assert program.line() == 'flags: {"version": 8}'
        seed.user_event("stop")
        for program in (one, two, late):
            program.ends()


# -- auto-healing ----------------------------------------------------------------------------------


@pytest.fixture
def hook(tmp_path):
    """A program that writes down what it was called with."""
    script, log = tmp_path / "hook", tmp_path / "healed"
    script.write_text(f'#!/bin/sh\necho "$1 $2" >> {log}\n')
    script.chmod(0o755)
    return script, log


def test_a_failed_member_is_healed_once_by_the_oldest_healer(run, hook):
    script, log = hook
    with node("seed") as seed, node("other") as other, node("victim") as victim:
        for each in (other, victim):
            each.join([where(seed)])
        address = victim.local_member().addr
        old = run("auto_heal.py", "old", free_address(), "0.5", str(script), where(seed))
        assert old.line() == "watching 4 members"
        young = run("auto_heal.py", "young", free_address(), "0.5", str(script), where(seed))
        assert young.line() == "watching 5 members"
        heard = seed.events(["user:healed"])
        victim.shutdown()
        assert heard.get(timeout=30).payload == b"victim"
        assert old.line() == "healed victim"

        # Now the oldest healer itself fails, and the next one takes over.
        kill(old)
        assert heard.get(timeout=30).payload == b"old"
        assert young.line() == "healed old"
        seed.user_event("stop")
        young.ends()
        healed = log.read_text().splitlines()
        assert (healed[0], [line.split()[0] for line in healed]) == (f"victim {address}", ["victim", "old"])


@pytest.mark.slow
def test_nobody_heals_while_most_members_are_gone(run, hook):
    script, log = hook
    with node("seed") as seed, contextlib.ExitStack() as stack:
        others = [stack.enter_context(node(f"other-{number}")) for number in range(3)]
        for each in others:
            each.join([where(seed)])
        healer = run("auto_heal.py", "healer", free_address(), "0.3", str(script), where(seed))
        assert healer.line() == "watching 5 members"
        for each in others:
            each.shutdown()
        lines = {healer.line() for _ in range(3)}
        assert all(line.startswith("most members don't answer: not healing other-") for line in lines), lines
        assert not log.exists()
        seed.user_event("stop")
        healer.process.wait(30)


# -- the nightly backup ----------------------------------------------------------------------------


def test_the_oldest_makes_the_backup_and_the_next_takes_over(run, tmp_path):
    with node("seed") as seed:
        one = run("nightly_backup.py", "one", free_address(), str(tmp_path), where(seed))
        one.until("ready")
        two = run("nightly_backup.py", "two", free_address(), str(tmp_path), where(seed))
        two.until("ready")
        seed.wait_for(2, tags={"role": "db"}, timeout=30)
        seed.user_event("backup", b"2026-11-25")
        assert [one.line(), one.line()] == ["attempt 1 for 2026-11-25", "kept 2026-11-25"]
        assert (tmp_path / "2026-11-25").read_text() == "backup of 2026-11-25 by one\n"
        seed.user_event("backup", b"../../etc/passwd")

        kill(one)
        failed = seed.events(["member-failed"])
        seed.user_event("backup", b"2026-11-26")  # heard by `two` while it takes `one` for the leader
        failed.get(timeout=30)
        assert [two.line(), two.line()] == ["attempt 1 for 2026-11-26", "kept 2026-11-26"]
        seed.user_event("stop")
        two.ends()
        assert sorted(path.name for path in tmp_path.iterdir() if "." not in path.name) == [
            "2026-11-25",
            "2026-11-26",
            "lock",
        ]


def test_a_leader_that_was_asleep_is_fenced_off(tmp_path, monkeypatch):
    backup = _load("nightly_backup.py", ["x", "x", str(tmp_path)], monkeypatch)
    store = backup["Store"](tmp_path)
    slow, quick = store.claim("2026-11-25"), store.claim("2026-11-25")
    assert store.commit("2026-11-25", quick, b"quick")
    assert not store.commit("2026-11-25", slow, b"slow")
    assert (tmp_path / "2026-11-25").read_bytes() == b"quick"
    assert not store.commit("2026-11-25", store.claim("2026-11-25"), b"again")


def _load(example: str, arguments: list[str], monkeypatch) -> dict[str, object]:
    """The names that an example defines before it starts its node."""
    text = (EXAMPLES / example).read_text()
    monkeypatch.setattr(sys, "argv", [example, *arguments])
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(text.partition("\nbackups = ")[0], example, "exec"), names)
    return names


# -- web servers behind HAProxy --------------------------------------------------------------------


class Web:
    """A web server that says its name, and its member."""

    def __init__(self, name: str, seed: Serf) -> None:
        answer = name.encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.dying = threading.Lock()
        self.member = node(name)
        self.host = self.member.config.memberlist.bind_addr
        self.server = http.server.ThreadingHTTPServer((self.host, 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.member.start()
        self.member.join([where(seed)])
        self.member.set_tags({"role": "web", "port": str(self.server.server_port)})

    def die(self) -> None:
        """Both, without a word. May be called again, from any thread."""
        with self.dying:
            self.member.shutdown()
            self.server.shutdown()
            self.server.server_close()
            self.thread.join()


@pytest.mark.interop
def test_requests_shift_when_a_web_server_dies_or_comes(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HAPROXY", peer("haproxy", "2.6"))
    front = f"{free_address()}:18080"

    def ask(times: int) -> Counter[str]:
        answers: Counter[str] = Counter()
        for _ in range(times):
            with urllib.request.urlopen(f"http://{front}/", timeout=10) as answer:
                answers[answer.read().decode()] += 1
        return answers

    with node("seed") as seed, contextlib.ExitStack() as stack:
        webs = []
        for number in (1, 2, 3):
            webs.append(Web(f"web-{number}", seed))
            stack.callback(webs[-1].die)
        seed.wait_for(3, tags={"role": "web", "port": ".+"}, timeout=30)
        hostile = stack.enter_context(node("evil\n    server x 10.0.0.1:1", tags={"role": "web", "port": "80"}))
        hostile.join([where(seed)])
        proxy = run("haproxy_pool.py", "proxy", free_address(), front, str(tmp_path / "haproxy.cfg"), where(seed))
        proxy.until("servers: web-1 web-2 web-3")
        _wait_until_open(front)
        assert ask(30) == {"web-1": 10, "web-2": 10, "web-3": 10}

        dying = threading.Thread(target=webs[0].die)
        dying.start()
        answers: Counter[str] = Counter()
        while "servers: web-2 web-3" not in proxy.lines:  # no request fails meanwhile: HAProxy tries another server
            answers += ask(5)
            with contextlib.suppress(Exception):
                proxy.lines.append(proxy._new.get(timeout=0.05))
        dying.join()
        assert set(ask(20)) == {"web-2", "web-3"}

        webs.append(Web("web-4", seed))
        stack.callback(webs[-1].die)
        proxy.until("servers: web-2 web-3 web-4")
        while "web-4" not in ask(6):
            pass
        seed.user_event("stop")
        assert proxy.process.wait(30) == 0


def _wait_until_open(front: str) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{front}/", timeout=10):
            return
        threading.Event().wait(0.05)
    raise AssertionError("HAProxy doesn't listen")


# -- datacenters -----------------------------------------------------------------------------------


def test_an_event_crosses_to_the_other_datacenter_once(run):
    key = base64.b64encode(b"k" * 32).decode()
    with node("east-1") as east, node("west-1") as west:
        wan = [free_address() for _ in range(3)]
        first = run("two_datacenters.py", "gw-1", "east", free_address(), wan[0], key, where(east), "-")
        first.until("gateway of east")
        second = run("two_datacenters.py", "gw-2", "east", free_address(), wan[1], key, where(east), wan[0])
        second.until("gateway of east")
        other = run("two_datacenters.py", "gw-1", "west", free_address(), wan[2], key, where(west), wan[0])
        other.until("gateway of west")
        heard = west.events(["user"])
        east.user_event("local", b"stays")
        east.user_event("global:deploy", b"v2")
        assert first.line() == "passed on east:deploy"
        assert other.line() == "passed on east:deploy"
        event = heard.get(timeout=30)
        assert (event.name, event.payload) == ("east:deploy", b"v2")
        back = east.events(["user:west:ready"])
        west.user_event("global:ready", b"yes")
        assert back.get(timeout=30).payload == b"yes"
        assert [heard.get(timeout=30).name, len(heard)] == ["global:ready", 0]

        stranger = Config.wan(node_name="x", bind_addr=free_address(), bind_port=7947, secret_key=b"x" * 32)
        with Serf(stranger) as wrong_key, pytest.raises(JoinError):
            wrong_key.join([f"{wan[0]}:7947"])
        for each in (east, west):
            each.user_event("stop")
        for each in (first, second, other):
            assert each.process.wait(60) == 0


# -- before it is real -----------------------------------------------------------------------------


@pytest.mark.interop
@pytest.mark.slow
def test_chaos_is_survived(run, monkeypatch):
    peer("serf", "0.10.1")
    monkeypatch.setenv("ON", "loopback")
    monkeypatch.setenv("AGENTS", "go=0.10.1:2,py=2")
    program = run("chaos.py", "3", "7")
    program.until("recovered from all", patience=240)
    assert [line for line in program.lines if "heard an event" in line] == [
        f"round {n}: all heard an event" for n in (1, 2, 3)
    ]


def fleet(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "fleet.py", *arguments], capture_output=True, text=True, check=False, timeout=1500
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_small_fleet_is_told_of_and_always_the_same():
    told = fleet("100", "40")
    assert told == fleet("100", "40")
    peace, reached, _, known, false = told.splitlines()
    assert re.fullmatch(
        r"100 devices send in peace, per second, on average \d+ \+ \d+ bytes in datagrams \+ on streams", peace
    )
    assert re.fullmatch(r"the command had reached half of all after .* s, 99 % after .* s, all after [\d.]+ s", reached)
    assert re.fullmatch(r"failures known to all: 3 of 3, after [\d.]+ s, [\d.]+ s, [\d.]+ s", known)
    assert false == "false failures: 0"


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_fleet_of_ten_thousand_is_simulated():
    """For eight seconds, a fifth of the program's own time: a command reaches all, in far less than 8 GiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peace, reached, *_, false = fleet("10000", "8").splitlines()
    assert peace.startswith("10000 devices send in peace")
    assert re.search(r"all after [\d.]+ s$", reached)
    assert false == "false failures: 0"
    assert max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) < 8 << 20
