"""`python -m benchmarks.web reload`: gunicorn reloads, and hosts are drained, while wrk asks for pages.

Errors are counted as wrk counts them: connections that failed, answers that were cut off or took over 2 s, and answers
that are not 2xx or 3xx.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.agents import AgentProcess, free_host
from tests.contrib.hosts import ROOT, Host, until
from tests.contrib.servers import HTTP_PORT, Gunicorn, fetch

HERE = Path(__file__).parent
SECONDS, RELOADS = 30, 5
CONNECTIONS = 16
HOSTS, WORKERS = 3, 4

HAPROXY = """
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
    option httpchk GET /serf/health
frontend pages
    bind {address}
    default_backend web
backend web
    balance roundrobin
    default-server check inter 500ms fall 1 rise 1
{servers}
"""


def reload() -> dict[str, Any]:
    missing = [name for name in ("wrk", "haproxy") if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"no {' and no '.join(missing)}: apt-get install wrk haproxy")
    return {
        "reload, plain gunicorn": _reload(_plain),
        "reload, with a member": _reload(_with_member),
        "rolling deploy behind HAProxy": _rolling_deploy(),
    }


class Wrk:
    """A load of pages for some seconds."""

    def __init__(self, url: str, seconds: float) -> None:
        self._process = subprocess.Popen(
            ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds:.0f}s", url], stdout=subprocess.PIPE, text=True
        )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def result(self) -> dict[str, Any]:
        out = self._process.communicate()[0]
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
        connect, read, write, late = map(int, errors.groups()) if errors else (0, 0, 0, 0)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        return {
            "requests": int(re.search(r"(\d+) requests in", out)[1]),
            "connect": connect,
            "read": read,
            "write": write,
            "timeout": late,
            "not 2xx": int(refused[1]) if refused else 0,
        }


@contextlib.contextmanager
def _plain(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """gunicorn with an app like ours, without us."""
    (directory / "plain_app.py").write_text(
        "from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef page():\n    return '5 members'\n"
    )
    url = f"http://{free_host()}:{HTTP_PORT}"
    command = [sys.executable, "-m", "gunicorn", "-b", url.removeprefix("http://"), "-w", str(WORKERS), "plain_app:app"]
    with (directory / "plain.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
    try:
        until(lambda: fetch(url)[0] == 200)
        yield process, url
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def _with_member(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    host = Host(directory, "web-1", profile="lan")
    try:
        with _server(host, directory).wait() as server:
            until(lambda: "attached" in server.get("/serf/health")[1])
            yield server.process, server.url
    finally:
        host.close()


def _server(host: Host, directory: Path) -> Gunicorn:
    env = {"NOTES": str(directory), "FLASK_SERF_URL_PREFIX": '"/serf"'}
    return Gunicorn(host, "web_app:app", "-w", str(WORKERS), where=HERE, env=env)


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="sc-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _reload(serve: Any) -> dict[str, Any]:
    """Five reloads in half a minute."""
    with _directory() as directory, serve(directory) as (process, url):
        wrk = Wrk(url + "/", SECONDS)
        for _ in range(RELOADS):
            time.sleep(SECONDS / (RELOADS + 1))
            process.send_signal(signal.SIGHUP)
        return {"reloads": RELOADS} | wrk.result()


def _rolling_deploy() -> dict[str, Any]:
    """Each of three hosts is drained by an event of a Go node, and started anew, while HAProxy hands out requests."""
    with _directory() as directory, contextlib.ExitStack() as stack:
        go = stack.enter_context(AgentProcess("go-0.10.1", "go", profile="lan"))
        hosts = [Host(directory, f"web-{n}", profile="lan", retry_join=[go.gossip]) for n in range(1, HOSTS + 1)]
        for host in hosts:
            stack.callback(host.close)
        servers = [stack.enter_context(_server(host, directory)) for host in hosts]
        for server in servers:
            server.wait()
        url = stack.enter_context(_haproxy(directory, servers))
        client = stack.enter_context(go.client())
        failures = client.stream("member-failed")
        until(lambda: fetch(url)[0] == 200)
        until(lambda: all('"ok"' in server.get("/serf/health")[1] for server in servers))
        wrk = Wrk(url + "/", 75)
        for number, host in enumerate(hosts):
            client.user_event("shutdown", host.settings["node_name"].encode())
            assert servers[number].process.wait(60) == 0
            fresh = stack.enter_context(_server(host, directory).wait())
            until(lambda f=fresh: '"ok"' in f.get("/serf/health")[1])
            time.sleep(2)  # until HAProxy has seen that it is back
        deployed = wrk.running
        result = wrk.result()
        failed = 0
        with contextlib.suppress(TimeoutError):
            while True:
                failed += len(failures.get(0.1).members)
        alive = sum(str(member.status) == "alive" for member in client.members())
        return {
            "hosts": HOSTS,
            "all deployed under load": deployed,
            **result,
            "failed at the Go agent": failed,
            "alive in the end": alive,
        }


@contextlib.contextmanager
def _haproxy(directory: Path, servers: list[Gunicorn]) -> Iterator[str]:
    address = f"{free_host()}:{HTTP_PORT}"
    lines = [f"    server web-{n} {server.url.removeprefix('http://')}" for n, server in enumerate(servers, 1)]
    file = directory / "haproxy.cfg"
    file.write_text(HAPROXY.format(address=address, servers="\n".join(lines)))
    process = subprocess.Popen(
        ["haproxy", "-db", "-f", str(file)], cwd=ROOT, stderr=subprocess.DEVNULL, env=os.environ | {"LANG": "C"}
    )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()
