"""The app that `benchmarks.web` runs under gunicorn: it notes what each worker hears, and when."""

from __future__ import annotations

import os
import sys
import time

from flask import Flask

from serfcompat.contrib.flask import FlaskSerf

app = Flask(__name__)
app.config.from_prefixed_env()
serf = FlaskSerf(app)
NOTES = os.environ["NOTES"]


def note(what: str) -> None:
    """One line in this worker's file: nanoseconds of the clock that all processes share, and what happened."""
    with open(f"{NOTES}/{os.getpid()}", "a") as file:
        file.write(f"{time.monotonic_ns()} {what}\n")


@serf.on("mark")
def on_mark(event: object) -> None:
    note(f"mark {event.payload.decode()}")


@serf.on_gap
def on_gap(gap: object) -> None:
    note("gap")


@app.get("/")
def page() -> str:
    return f"{len(serf.members())} members"


@app.get("/members")
def members() -> list[list[str]]:
    return [[member.name, member.address, str(member.status)] for member in serf.members(status=None)]


@app.get("/block/<seconds>")
def block(seconds: str) -> str:
    """A worker that waits, and lets nothing else run in a sync worker."""
    time.sleep(float(seconds))
    return "done"


@app.get("/spin/<seconds>")
def spin(seconds: str) -> str:
    """A worker that holds its interpreter, as a bad regular expression does."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(2 * float(seconds))
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        pass
    sys.setswitchinterval(interval)
    return "done"
