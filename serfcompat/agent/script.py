"""One run of a script: a shell, its input, the end of its output, its exit status (spec agent §3.2, §3.4)."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any, NamedTuple

import gevent
from gevent import subprocess

OUTPUT_LIMIT = 8192
"Bytes of output that are kept: the last ones."


class ScriptFailed(Exception):
    """A script could not be run; the text says why."""


class Ran(NamedTuple):
    """How a script ended."""

    output: bytes
    "stdout and stderr together; at most the last 8192 bytes."
    failure: str
    "Empty if the exit status was 0, else as Go says it."
    input_failure: str
    "Why the script did not get all of its input; empty if it did."


def run_script(script: str, environment: Mapping[str, str], stdin: bytes) -> Ran:
    """Run `/bin/sh -c script` to its end. Lets other greenlets go on meanwhile.

    ⚠ The end is when the script has ended and everybody has closed its output: a child in the
    background that keeps it open keeps us waiting, as it does upstream.

    Args:
        environment: What to add to our own.

    Raises:
        ScriptFailed: No process could be started.
    """
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", os.fsencode(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(environment),
        )
    except OSError as error:
        raise ScriptFailed(f"fork/exec /bin/sh: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:  # a zero byte in a name or a tag
        raise ScriptFailed(f"fork/exec /bin/sh: invalid argument ({error})") from error
    writer = gevent.spawn(_write, process.stdin, stdin)
    output = bytearray()
    with process.stdout:
        while data := process.stdout.read1(OUTPUT_LIMIT):
            output += data
            del output[:-OUTPUT_LIMIT]
    status = process.wait()
    return Ran(bytes(output), _failure(status), writer.get())


def _environment(added: Mapping[str, str]) -> dict[bytes, bytes]:
    encoded = {name.encode("utf-8", "surrogateescape"): value for name, value in added.items()}
    return dict(os.environb) | {name: value.encode("utf-8", "surrogateescape") for name, value in encoded.items()}


def _write(pipe: Any, data: bytes) -> str:
    """Write all and close; the reason if that failed."""
    try:
        with pipe:
            pipe.write(data)
    except OSError as error:
        return f"write |1: {(error.strerror or str(error)).lower()}"
    return ""


def _failure(status: int) -> str:
    if status == 0:
        return ""
    if status > 0:
        return f"exit status {status}"
    try:
        name = signal.strsignal(-status)
    except ValueError:
        name = None
    return f"signal: {(name or f'signal {-status}').lower()}"
