"""Settings of a host's member, and its run directory."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from serfcompat.contrib.host_agent import HostAgent
from serfcompat.contrib.rundir import RunDir, State
from serfcompat.contrib.settings import HostSettings
from serfcompat.errors import StartError, UsageError


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"nodename": "x"}, "invalid keys: nodename"),
        ({"tags": ["a"]}, "'tags' expected a map"),
        ({"log_level": "loud"}, "Invalid log level: LOUD"),
        ({"linger": -1}, "linger must be seconds"),
        ({"linger": "long"}, "linger must be seconds"),
        ({"tags_file": "/x", "discover": "y"}, "discover, tags_file: run `serfcompat agent`"),
        ({"tags": {"a": object()}}, "not JSON serializable"),
    ],
)
def test_wrong_settings_are_refused(wrong, complaint):
    with pytest.raises(UsageError, match=complaint):
        HostSettings.of(wrong)


def test_settings_reach_the_member_as_they_are():
    settings = HostSettings.of({"run_dir": "/run/x", "node_name": "web", "tags": {"role": "web"}, "linger": 3})
    config = HostSettings.from_json(settings.to_json()).agent_config()
    assert (config.node_name, config.tags, config.log_level, config.rpc_addr) == ("web", {"role": "web"}, "WARN", "")


def test_secrets_are_not_shown():
    assert "c2VjcmV0" not in repr(
        HostSettings.of({"encrypt_key": "c2VjcmV0c2VjcmV0c2VjcmV0", "attach_auth": "c2VjcmV0"})
    )


def test_where_workers_meet(monkeypatch):
    monkeypatch.delenv("SERFCOMPAT_RUN_DIR", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert HostSettings().directory() == "/run/user/7/serfcompat"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert HostSettings().directory().endswith(f"/serfcompat-{os.getuid()}")
    monkeypatch.setenv("SERFCOMPAT_RUN_DIR", "/srv/run")
    assert HostSettings().directory() == "/srv/run"
    assert HostSettings(run_dir="/own").directory() == "/own"


def test_locks_are_exclusive_or_shared(tmp_path):
    run_dir = RunDir(str(tmp_path))
    held = run_dir.lock("lock")
    assert held is not None
    assert run_dir.lock("lock") is None
    os.close(held)
    workers = [run_dir.lock("workers", shared=True) for _ in range(2)]
    assert run_dir.lock("workers") is None
    for fd in workers:
        os.close(fd)
    os.close(run_dir.lock("workers"))


def test_directories_that_others_could_abuse_are_refused(tmp_path):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(StartError, match=r"anybody may write to .*: chmod o-w it"):
        RunDir(str(open_to_all)).make()
    with pytest.raises(StartError, match="too long for a socket"):
        RunDir(str(tmp_path / ("x" * 100))).make()
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="can't use the run directory"):
        RunDir(str(tmp_path / "file")).make()


def test_a_state_that_can_not_be_read_is_none(tmp_path):
    run_dir = RunDir(str(tmp_path))
    assert run_dir.state()[0] == State()
    run_dir.write_state(State(7, "running", "web"))
    assert run_dir.state()[0] == State(7, "running", "web")
    (tmp_path / "state.json").write_text('{"pid": 7, "unknown": 1}')
    assert run_dir.state()[0] == State()


def test_threads_that_ask_at_once_agree_on_who_supervises(tmp_path):
    host = HostAgent(HostSettings(run_dir=str(tmp_path)))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(50):
            barrier = threading.Barrier(8)

            def ask(barrier=barrier):
                barrier.wait()
                return host.supervises()

            assert all(list(pool.map(lambda _: ask(), range(8))))
            os.close(host._supervision)
            host._supervision = None
