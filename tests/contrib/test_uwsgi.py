"""uWSGI, from PyPI's `pyuwsgi`, with the example's page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.contrib.hosts import ROOT, until
from tests.contrib.servers import HTTP_PORT, fetch, flask_environment
from tests.contrib.versions import package
from tests.example_programs import EXAMPLES

pytestmark = [pytest.mark.socket, pytest.mark.slow]


class Uwsgi:
    """A uWSGI with two workers. Use it in a `with` block."""

    def __init__(self, host, module, *flags, where=EXAMPLES):
        self.url = f"http://{host.address.partition(':')[0]}:{HTTP_PORT}"
        packages = package("uwsgi", "pyuwsgi>=2.0.22")
        path = [str(packages), str(where), str(ROOT), *(each for each in sys.path if each.endswith("site-packages"))]
        command = [
            *(sys.executable, "-c", "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])"),
            *("--http-socket", self.url.removeprefix("http://"), "--master", "--processes", "2", "--need-app"),
            *("--module", module, "--callable", "app", *flags),
        ]
        with host.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path)} | flask_environment(host),
            )

    def get(self, path="/"):
        return fetch(self.url + path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with suppress(ProcessLookupError):  # all of it ended by itself
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@pytest.fixture
def site(tmp_path):
    """The example's page with our module, and one that takes its time."""
    (tmp_path / "site_with_hook.py").write_text(
        f"import sys, time; sys.path.append({str(EXAMPLES)!r})\n"
        "import serfcompat.contrib.uwsgi\n"
        "from flask_page import app\n"
        "@app.get('/slow/<int:seconds>')\n"
        "def slow(seconds):\n"
        "    time.sleep(seconds)\n"
        "    return 'at last'\n"
    )
    return tmp_path


@pytest.mark.parametrize("flags", [(), ("--lazy-apps",)], ids=["forked", "lazy-apps"])
def test_every_worker_hears_before_its_first_request(host, watcher, site, flags):
    web = host(retry_join=[watcher.local_member().address])
    with Uwsgi(web, "site_with_hook", "--enable-threads", *flags, where=site) as server:
        until(lambda: [str(each.status) for each in watcher.members(name="web")] == ["alive"])
        until(lambda: web.log.read_text().count("Accepted client") >= 2)
        watcher.user_event("deploy", b"v2")
        until(lambda: server.get()[0] == 200)
        until(lambda: all("deployed: v2" in server.get()[1] for _ in range(8)))


def test_without_threads_it_says_what_is_missing(host):
    web = host()
    with Uwsgi(web, "flask_page") as server:
        until(lambda: server.get()[0] == 500)
        until(lambda: "start uWSGI with --enable-threads" in web.log.read_text())


@pytest.mark.parametrize("graceful", [True, False])
def test_a_shutdown_event_drains_the_host(host, watcher, site, graceful):
    web = host(retry_join=[watcher.local_member().address])
    flags = ["--hook-master-start", "unix_signal:15 gracefully_kill_them_all"] if graceful else []
    with Uwsgi(web, "site_with_hook", "--enable-threads", *flags, where=site) as server, ThreadPoolExecutor() as pool:
        until(lambda: server.get()[0] == 200)
        until(lambda: [str(each.status) for each in watcher.members(name="web")] == ["alive"])
        watcher.user_event("shutdown", b"other")
        watcher.user_event("shutdown", b"web, other")
        until(lambda: "draining" in watcher.members(name="web")[0].tags)
        # Longer than the balancers' time and the leave, so that it is in flight when the server stops.
        slow = pool.submit(server.get, "/slow/15")
        assert server.process.wait(60) == 0
        assert (slow.result() == (200, "at last")) == graceful
        until(lambda: [str(each.status) for each in watcher.members(name="web")] == ["left"])
    assert ("stops without its requests in flight" in web.log.read_text()) == (not graceful)
