"""gunicorn with the example's page: start, reload, drain, stop, each kind of worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.agents import AgentProcess
from tests.contrib.hosts import until
from tests.contrib.servers import Gunicorn
from tests.example_programs import EXAMPLES

pytestmark = pytest.mark.socket


@pytest.fixture
def serve(host, watcher):
    """A gunicorn with the example, and the host that it is on."""

    def start(*flags, **settings):
        web = host(retry_join=[watcher.local_member().address], url_prefix="/serf", **settings)
        return web, Gunicorn(web, "flask_page:app", "-w", "2", *flags, where=EXAMPLES)

    return start


def workers_of(server):
    """Process ids of the workers: children of the master."""
    pid = server.process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return {int(child) for child in children.read().split()}


def status(watcher):
    return [str(member.status) for member in watcher.members(name="web")]


@pytest.mark.parametrize(
    "flags",
    [(), ("-k", "gthread", "--threads", "4"), ("-k", "gevent"), ("--preload",), ("-k", "gevent", "--preload")],
    ids=["sync", "gthread", "gevent", "preload", "gevent-preload"],
)
def test_every_worker_hears_before_its_first_request(serve, watcher, flags):
    web, server = serve(*flags)
    with server:
        until(lambda: status(watcher) == ["alive"])
        until(lambda: len(workers_of(server)) == 2)
        until(lambda: web.log.read_text().count("Accepted client") >= 2)  # nobody has asked for a page yet
        watcher.user_event("deploy", b"v2")
        server.wait()
        until(lambda: all("deployed: v2" in server.get()[1] for _ in range(8)))
        assert f"watcher {watcher.local_member().address} alive" in server.get()[1]


def test_a_reload_keeps_the_member_and_a_stop_lets_it_leave(serve, watcher):
    web, server = serve()
    with server:
        server.wait()
        until(lambda: status(watcher) == ["alive"])
        old, member = workers_of(server), web.state["pid"]
        server.signal(signal.SIGHUP)
        until(lambda: len(new := workers_of(server)) == 2 and not new & old)
        until(lambda: server.json("/serf/health")["attached"])
        assert web.state["pid"] == member
        server.signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        until(lambda: status(watcher) == ["left"])


def test_a_shutdown_event_drains_the_host(serve, watcher):
    _, server = serve()
    with server:
        server.wait()
        until(lambda: status(watcher) == ["alive"])
        until(lambda: all(server.get("/serf/health")[0] == 200 for _ in range(8)))
        watcher.user_event("shutdown", b"other, another")
        watcher.user_event("shutdown", b"other, web")
        until(lambda: server.json("/serf/health")["status"] == "draining")
        assert server.get("/serf/health")[0] == 503
        until(lambda: "draining" in watcher.members(name="web")[0].tags)
        assert server.get()[0] == 200  # who does not look at the tag is served
        assert server.process.wait(60) == 0
        until(lambda: status(watcher) == ["left"])


def test_killed_workers_are_replaced_and_the_member_stays(serve, watcher):
    web, server = serve(linger=30.0)
    with server:
        server.wait()
        until(lambda: status(watcher) == ["alive"])
        member, old = web.state["pid"], workers_of(server)
        for worker in old:
            os.kill(worker, signal.SIGKILL)
        until(lambda: len(new := workers_of(server)) == 2 and not new & old)
        until(lambda: server.get()[0] == 200 and server.json("/serf/health")["attached"])
        assert web.state["pid"] == member


@pytest.mark.interop
def test_hosts_are_deployed_one_after_the_other(host, watcher, tmp_path):
    """The example, with a Go agent to talk to; a file stands for `systemctl`, and the test for systemd."""
    with AgentProcess("go-0.10.1", "go", f"-join={watcher.local_member().address}") as go, ExitStack() as stack:
        hosts = {name: host(name, retry_join=[go.gossip], url_prefix="/serf") for name in ("web-1", "web-2")}

        def serve(name):
            server = Gunicorn(hosts[name], "flask_page:app", "-w", "1", where=EXAMPLES)
            return stack.enter_context(server).wait()

        servers = {name: serve(name) for name in hosts}
        for server in servers.values():
            until(lambda each=server: each.get("/serf/health")[0] == 200)
        script = [sys.executable, str(EXAMPLES / "rolling_deploy.py"), go.rpc, f"touch {tmp_path}/{{}}", *hosts]
        deploy = stack.enter_context(subprocess.Popen(script, stdout=subprocess.PIPE, text=True))
        stack.callback(deploy.kill)
        for name, other in (("web-1", "web-2"), ("web-2", "web-1")):
            until((tmp_path / name).exists)
            assert servers[name].process.wait(60) == 0
            assert servers[other].get()[0] == 200
            servers[name] = serve(name)
        told = "web-1 is out of service\nweb-1 is back\nweb-2 is out of service\nweb-2 is back\n"
        assert deploy.communicate(timeout=60)[0] == told
        assert deploy.returncode == 0
