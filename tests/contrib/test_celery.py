"""Celery workers with Debian's Redis as broker."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from tests.contrib.hosts import ROOT, until
from tests.example_programs import EXAMPLES

REDIS = shutil.which("redis-server")
pytestmark = pytest.mark.socket


@pytest.fixture
def broker(tmp_path, host):
    """Address of a Redis of our own. Without one the test is skipped, or fails where all peers are required."""
    if REDIS is None:
        (pytest.fail if os.environ.get("SERFCOMPAT_REQUIRE_PEERS") else pytest.skip)("apt-get install redis-server")
    ip = host("broker").address.partition(":")[0]
    flags = ["--bind", ip, "--port", "26379", "--save", "", "--dir", str(tmp_path), "--protected-mode", "no"]
    process = subprocess.Popen([REDIS, *flags], stdout=subprocess.DEVNULL)

    def answers():
        with socket.socket() as probe:
            return probe.connect_ex((ip, 26379)) == 0

    until(answers)
    yield f"redis://{ip}:26379"
    process.terminate()
    process.wait()


class CeleryHost:
    """A worker with its pool."""

    def __init__(self, host, broker, *flags):
        self.env = os.environ | {
            "BROKER": broker,
            "SERF": json.dumps(host.settings),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(EXAMPLES)]),
        }
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "celery_tasks",
            "worker",
            "-n",
            f"{host.settings['node_name']}@%h",
        ]
        with host.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *flags], stdout=log, stderr=log, env=self.env, cwd=host.log.parent
            )


@pytest.fixture
def celery(broker, monkeypatch):
    """Starts workers; gives the app of the example, to send tasks with."""
    with contextlib.ExitStack() as stack:
        monkeypatch.setenv("BROKER", broker)
        from celery import Celery

        app = Celery("tasks", broker=broker, backend=broker)
        stack.callback(app.close)

        def start(host, *flags):
            worker = CeleryHost(host, broker, *flags)

            def stop():
                if worker.process.poll() is None:
                    worker.process.send_signal(signal.SIGQUIT)
                    worker.process.wait(30)

            stack.callback(stop)
            return worker

        def ask(name, *args, times=1):
            """What the task says; with `times`, so many of them at once."""
            sent = [app.send_task(f"celery_tasks.{name}", args) for _ in range(times)]
            answers = [each.get(timeout=60) for each in sent]
            return answers if times > 1 else answers[0]

        start.ask = ask
        yield start


@pytest.mark.parametrize("pool", [("prefork", "2"), ("threads", "2")], ids=["prefork", "threads"])
def test_tasks_see_the_cluster_and_a_broadcast_reaches_every_process(celery, host, watcher, pool):
    worker = host("worker", retry_join=[watcher.local_member().address])
    kind, size = pool
    running = celery(worker, "-P", kind, "-c", size)
    assert celery.ask("databases") == []
    watcher.set_tags({"role": "db"})
    until(lambda: celery.ask("databases") == [watcher.local_member().address])
    processes = 2 if kind == "prefork" else 1

    def each(task, *args):
        """What the task says in each process of the pool."""
        said = {}

        def ask():
            for answer in celery.ask(task, *args, times=8):
                said.update([answer] if isinstance(answer, list) else [(answer, None)])
            return len(said) == processes

        until(ask)
        return said

    each("remember", "EUR", 1.1)
    each("remember", "CHF", 0.9)
    until(lambda: all(set(rates) == {"EUR", "CHF"} for rates in each("known").values()))
    celery.ask("change", "EUR")
    until(lambda: all(set(rates) == {"CHF"} for rates in each("known").values()))
    watcher.user_event("shutdown", b"somebody-else")
    watcher.user_event("shutdown", b"worker")
    assert running.process.wait(60) == 0
    until(lambda: [str(each.status) for each in watcher.members(name="worker")] == ["left"])
