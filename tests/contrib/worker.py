"""One worker, as a process that is told what to do: `python -m tests.contrib.worker SETTINGS [gevent]`.

Each line of stdin is a JSON list, name of an action and its arguments; each answer is one line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable

if "gevent" in sys.argv[2:]:
    from gevent import monkey

    monkey.patch_all()

from serfcompat.contrib import local
from serfcompat.contrib.handlers import Gap
from serfcompat.errors import SerfCompatError

SETTINGS = json.loads(sys.argv[1])
heard: list[str] = []
news = threading.Condition()


def hear(event: object) -> None:
    payload = getattr(event, "payload", None)
    with news:
        heard.append("gap" if isinstance(event, Gap) else f"{event}{' ' + payload.decode() if payload else ''}")
        news.notify_all()


class Actions:
    """What a test may ask for."""

    def __init__(self) -> None:
        self.serf = local()
        self.serf.configure(SETTINGS)

    def start(self) -> None:
        self.serf.start()

    def listen(self, *filters: str) -> None:
        for each in filters or ("*",):
            self.serf.on(each, hear)
        self.serf.on_gap(hear)

    def listen_per_host(self, events: str) -> None:
        self.serf.on(events, hear, per="host")

    def answer(self, name: str, text: str) -> None:
        self.serf.on(f"query:{name}", lambda query: text)

    def members(self, **filters: object) -> dict[str, str]:
        return {member.name: str(member.status) for member in self.serf.members(**{"status": None} | filters)}

    def member(self, name: str) -> list[object] | None:
        found = self.serf.member(name)
        return found and [found.address, dict(found.tags), str(found.status)]

    def report(self) -> dict[str, object]:
        serf = self.serf
        host = serf._follower and serf._follower._host
        return {
            "pid": os.getpid(),
            "attached": serf.attached,
            "problem": serf.problem,
            "supervises": serf.supervises,
            "staleness": serf.staleness,
            "started": host.started if host else 0,
            "member": host._listening_pid() if host else 0,
            "threads": [each.name for each in threading.enumerate()],
        }

    def heard(self) -> list[str]:
        return heard

    def wait_heard(self, text: str, timeout: float = 20.0) -> bool:
        with news:
            return news.wait_for(lambda: text in heard, timeout)

    def event(self, name: str, payload: str | None = None) -> None:
        self.serf.user_event(name, payload)

    def query(self, name: str, timeout: float) -> list[list[object]]:
        records = self.serf.query(name, timeout=timeout)
        return [[each.from_, (each.payload or b"").decode()] for each in records if each.type == "response"]

    def tag(self, **tags: str | None) -> None:
        self.serf.set_tags(tags)

    def leave(self) -> None:
        self.serf.leave()

    def sleep(self, seconds: float) -> None:
        """Wait, as for a slow database."""
        time.sleep(seconds)

    def spin(self, seconds: float) -> None:
        """Hold the interpreter, as bad code in C or a wild regular expression does."""
        sys.setswitchinterval(2 * seconds)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        sys.setswitchinterval(0.005)

    def fork_and_report(self) -> dict[str, object]:
        """What a child of this worker sees."""
        reading, writing = os.pipe()
        if os.fork() == 0:
            try:
                before = [each.name for each in threading.enumerate()]
                answer = {"before": before, "members": self.members(), **self.report()}
            except BaseException as error:
                answer = {"error": repr(error)}
            os.write(writing, json.dumps(answer).encode())
            os._exit(0)
        os.close(writing)
        with open(reading) as pipe:
            return json.load(pipe)

    def fork_and_stay(self) -> int:
        """A child that does nothing until it is killed, but has what a child inherits."""
        pid = os.fork()
        while pid == 0:
            signal.pause()
        return pid


def main() -> None:
    actions = Actions()
    lines: Iterable[str] = sys.stdin
    if "gevent" in sys.argv[2:]:
        from gevent.fileobject import FileObjectPosix

        lines = FileObjectPosix(0, "r")  # a read that lets greenlets run
    for line in lines:
        name, args, kwargs = json.loads(line)
        try:
            answer = {"ok": getattr(actions, name)(*args, **kwargs)}
        except SerfCompatError as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
