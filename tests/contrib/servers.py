"""Web servers as processes, and pages of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.contrib.hosts import ROOT, Host, until

HTTP_PORT = 28080


def fetch(url: str) -> tuple[int, str]:
    """Status and text of a page; (0, reason) if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def python_path() -> str:
    """The tests' own, with the project."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def flask_environment(host: Host) -> dict[str, str]:
    """The host's settings, as `app.config.from_prefixed_env()` reads them."""
    return {f"FLASK_SERF_{key.upper()}": json.dumps(value) for key, value in host.settings.items()}


class Gunicorn:
    """A gunicorn with its workers. Use it in a `with` block."""

    def __init__(self, host: Host, app: str, *flags: str, where: Path, env: dict[str, str] | None = None) -> None:
        self.host = host
        self.url = f"http://{host.address.partition(':')[0]}:{HTTP_PORT}"
        with host.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "-c", "python:serfcompat.contrib.gunicorn"),
                    *("-b", self.url.removeprefix("http://"), "--chdir", str(where), *flags, app),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": python_path()} | flask_environment(host) | (env or {}),
            )

    def get(self, path: str = "/") -> tuple[int, str]:
        return fetch(self.url + path)

    def json(self, path: str) -> Any:
        return json.loads(self.get(path)[1])

    def wait(self) -> Gunicorn:
        """Until it serves."""
        until(lambda: self.get()[0] == 200)
        return self

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def __enter__(self) -> Gunicorn:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
