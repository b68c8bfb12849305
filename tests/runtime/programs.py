"""Whole programs in a process of their own: what a fork, a patch or an exit does can't be seen from inside a test."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap

_hosts = itertools.count(1)

HEAD = """
import os, sys, threading, time
import warnings; warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of a fork with threads; we mean it
from serfcompat import *

def config(name, host, **more):
    return Config.local(node_name=name, bind_addr=host, bind_port=7946, leave_propagate_delay=0.1, **more)

def reap(pid):
    '''Wait for a child that ends now. Not with gevent's waitpid, which misses one end in fifty and waits for ever.'''
    from gevent import monkey
    try:
        monkey.get_original("os", "waitpid")(pid, 0)
    except ChildProcessError:
        pass  # gevent did, in between

def in_child(function):
    '''Run a function in a forked child and return what it prints.'''
    reader, writer = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            os.write(writer, repr(function()).encode())
            code = 0
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(code)
    from gevent import monkey
    from gevent.os import tp_read
    monkey.get_original("os", "close")(writer)  # gevent's closes a pipe later, when its hub turns
    said = b""
    while data := tp_read(reader, 65536):  # an inline node goes on meanwhile
        said += data
    os.close(reader)
    reap(pid)
    return said.decode()
"""

PATCHED = "from gevent import monkey; monkey.patch_all()\n"


def free_address() -> str:
    """A loopback address that no other test of this process uses."""
    return f"127.34.{os.getpid() % 250}.{next(_hosts)}"


def run(program: str, *arguments: str, first: str = "", timeout: float = 60.0) -> str:
    """What a program prints. AssertionError if it fails, or takes longer than `timeout` seconds."""
    source = first + HEAD + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout
