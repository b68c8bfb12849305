"""Where a node lives: the choice, and calls from every kind of caller."""

import subprocess
import sys
import threading

import gevent
import pytest

from serfcompat.errors import StateError
from serfcompat.runtime.home import ThreadHome, choose


@pytest.fixture
def home():
    home = ThreadHome()
    yield home
    home.close()


def test_a_plain_program_gets_a_thread_and_a_greenlet_an_inline_home():
    assert choose("auto") == "thread"
    assert gevent.spawn(choose, "auto").get() == "inline"


def test_the_caller_may_insist():
    assert choose("inline") == "inline"
    assert gevent.spawn(choose, "thread").get() == "thread"


def test_a_patched_program_gets_an_inline_home():
    code = (
        "from serfcompat.runtime.home import choose\n"  # imported before patching, as gunicorn --preload does
        "from gevent import monkey; monkey.patch_all()\n"
        "print(choose('auto'))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "inline"


def test_a_call_returns_and_raises_what_the_function_does(home):
    assert home.call(lambda: 6 * 7) == 42
    with pytest.raises(ZeroDivisionError):
        home.call(lambda: 1 / 0)


def test_a_call_may_block_its_greenlet_and_others_go_on(home):
    gate = home.call(gevent.event.Event)
    waiting = threading.Thread(target=home.call, args=(gate.wait,))
    waiting.start()
    home.call(gate.set)
    waiting.join(5)
    assert not waiting.is_alive()


def test_whoever_waits_for_a_home_that_ends_is_told():
    home, failed = ThreadHome(), []
    gate, begun = home.call(gevent.event.Event), threading.Event()

    def wait():
        try:
            home.call(lambda: (begun.set(), gate.wait()))
        except StateError as error:
            failed.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert begun.wait(10)
    home.close()
    waiting.join(10)
    assert failed == ["this node was shut down"]
    with pytest.raises(StateError, match="was shut down"):
        home.call(lambda: 1)
    home.close()


def test_calls_from_the_home_itself_run_directly(home):
    assert home.call(lambda: home.call(lambda: home.is_here))


def test_eight_threads_call_at_once_and_every_call_arrives(home):
    counted = []
    threads = [
        threading.Thread(target=lambda: [home.call(lambda: counted.append(1)) for _ in range(100)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(counted) == 800
