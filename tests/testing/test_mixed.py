"""Mixed clusters on every back end that works here, and that nothing is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from serfcompat.testing import containers, namespaces
from serfcompat.testing.backends import NAMES, reasons
from serfcompat.testing.clean import clean
from serfcompat.testing.debian import DebianError
from serfcompat.testing.mixed import MixedCluster
from serfcompat.testing.node import AgentError
from serfcompat.testing.programs import NotHere
from serfcompat.testing.relay import Weather
from serfcompat.testing.rootfs import ImageError
from serfcompat.testing.runs import Run, marked_processes, this_run

pytestmark = [pytest.mark.interop, pytest.mark.socket]


@pytest.fixture(params=NAMES)
def on(request):
    """Each back end. Skipped where it doesn't work, with its own reason."""
    if why := reasons()[request.param]:
        pytest.skip(why)
    return request.param


def opened(**options):
    """A cluster that is started; the test is skipped where what it is made of can't be had."""
    try:
        return MixedCluster(**options).start()
    except (NotHere, ImageError, DebianError) as error:
        if os.environ.get("SERFCOMPAT_REQUIRE_PEERS"):
            raise
        pytest.skip(str(error))


def test_a_cluster_is_started_disturbed_and_written_down(on, tmp_path):
    cluster = opened(go="0.10.1:1", py=1, encrypt=True, profile="local", on=on, keep=tmp_path)
    with cluster as c:
        assert c.on == on
        assert c["go1"].host != c["py1"].host
        heard = c.listen("py1", answers={"who": b"py1"})
        c["go1"].client.user_event("deploy", b"v2")
        assert heard.wait_for_user_event("deploy", limit=60).payload == b"v2"
        c.partition(["go1"])
        c["py1"].wait_for_log("suspecting go1", limit=60)
        c["go1"].wait_for_log("Suspect py1", limit=60)
        c.heal()
        c.leave("py1")
        c.wait_for({"py1": "left"})
        c.restart("py1", "-tag=life=2")
        assert c.wait_until_whole()["go1"]["py1"].tags["life"] == "2"
        c.keep(tmp_path / "kept")
    logs = {path.name: path.read_text() for path in (tmp_path / "kept").glob("*.log")}
    assert set(logs) == {"go1.1.log", "py1.1.log", "py1.2.log"}
    assert all("Log data will now stream" in text for text in logs.values())
    if not cluster.no_capture:
        assert (tmp_path / "kept/packets.pcap").stat().st_size > 1000


@pytest.mark.slow
def test_what_a_partition_and_a_kill_do_to_a_cluster(on):
    with opened(go="0.9.4:1", py=1, profile="local", on=on) as c:
        c.partition(["go1"])
        c.wait_for({"py1": "failed"}, at=["go1"])
        c.wait_for({"go1": "failed"}, at=["py1"])
        c.heal()
        c.wait_until_whole()
        c.kill("py1")
        c.wait_for({"py1": "failed"})
        c.restart("py1")
        c.wait_until_whole()
        c.pause("go1")
        c.wait_for({"go1": "failed"}, at=["py1"])
        c.resume("go1")
        c.wait_until_whole()


def test_a_failure_keeps_what_is_needed_to_understand_it(tmp_path):
    def fail():
        with opened(py=1, on="loopback", keep=tmp_path):
            raise AgentError("something is wrong")

    with pytest.raises(AgentError) as failed:
        fail()
    (folder,) = tmp_path.iterdir()
    assert f"Logs and packets are in {folder}" in failed.value.__notes__[0]
    assert "py1" in (folder / "py1.1.log").read_text()


def test_traffic_is_late_if_a_relay_delays_it(on):
    with opened(go="0.9.4:1", py=1, on=on, relay=True) as c:
        assert c.relay is not None
        assert c["go1"].gossip != f"{c['go1'].host}:7946"
        c.weather(Weather(delay=0.01, jitter=0.02))
        c.lose(0.05)
        passed = c.relay.counts["passed"]
        heard = c.listen("go1")
        c["py1"].client.user_event("late", None)
        heard.wait_for_user_event("late", limit=60)
        assert c.relay.counts["passed"] > passed


def test_an_engine_on_another_machine_is_reached_by_published_ports(monkeypatch, tmp_path):
    if why := containers.why_not():
        pytest.skip(why)
    monkeypatch.setattr(containers, "_is_here", lambda interface: False)
    with opened(go="0.10.1:1", on="containers") as c:
        assert c["go1"].rpc != f"{c['go1'].host}:7373"
        assert list(c["go1"].members()) == ["go1"]
        c.keep(tmp_path)
    assert (tmp_path / "packets.pcap").read_bytes()[:4] == b"\xd4\xc3\xb2\xa1"
    with pytest.raises(NotHere, match="can't reach a relay here"):
        MixedCluster(go=1, on="containers", relay=True).start()


RUNNER = """
import signal, sys
from serfcompat.testing.mixed import MixedCluster
with MixedCluster(py=1, on=sys.argv[1], capture=False):
    print("ready", flush=True)
    signal.pause()
"""


def leftovers(run):
    """What is on this machine of a run."""
    found = [f"process {pid}" for pid, each in marked_processes() if each == run]
    found += [path.name for path in namespaces.FOLDER.glob(f"serfcompat.{run}.*")]
    if not containers.why_not():
        import docker

        client = docker.from_env()
        wanted = {"label": f"{containers.LABEL}={run}"}
        found += [each.name for each in client.containers.list(all=True, filters=wanted)]
        found += [each.name for each in client.networks.list(filters=wanted)]
        client.close()
    return found


def run_of(pid):
    """The run of that process, by what it started."""
    marks = [run for _, run in marked_processes()]
    if not containers.why_not():
        import docker

        client = docker.from_env()
        for each in client.networks.list(filters={"label": containers.LABEL}):
            marks.append(Run.parse(each.attrs["Labels"][containers.LABEL]))
        client.close()
    return next(run for run in marks if run is not None and run.pid == pid)


def cleaned(run):
    """What is left of a run after a clean-up."""
    clean()
    return leftovers(run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_runner_that_was_ended_and_those_beside_it_go_on(on, number):
    with opened(py=1, on=on, capture=False) as mine:
        runner = subprocess.Popen(
            [sys.executable, "-c", RUNNER, on], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert runner.stdout.readline() == "ready\n"
            run = run_of(runner.pid)
            assert leftovers(run)
            clean()
            assert leftovers(run), "it was cleaned away while it ran"
            runner.send_signal(number)
            runner.wait(30)
        finally:
            runner.kill()
            runner.wait()
            runner.stdout.close()
        if number == signal.SIGKILL:
            # As runs do that begin beside each other: each finds the place clean when it has cleaned it.
            with ThreadPoolExecutor(3) as pool:
                assert list(pool.map(cleaned, [run] * 3)) == [[], [], []]
        assert leftovers(run) == []
        assert mine["py1"].client.stats()
    assert leftovers(this_run()) == []
