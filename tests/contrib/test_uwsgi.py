"""uWSGI, from PyPI's `pyuwsgi`, with the example's page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

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
            *("--module", module, "--callable", "app", "--die-on-term", *flags),
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

    def get(self):
        return fetch(self.url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@pytest.mark.parametrize("flags", [(), ("--lazy-apps",)], ids=["forked", "lazy-apps"])
def test_every_worker_hears_before_its_first_request(host, watcher, tmp_path, flags):
    web = host(retry_join=[watcher.local_member().address])
    (tmp_path / "site_with_hook.py").write_text(
        f"import sys; sys.path.append({str(EXAMPLES)!r})\nimport serfcompat.contrib.uwsgi\nfrom flask_page import app\n"
    )
    with Uwsgi(web, "site_with_hook", "--enable-threads", *flags, where=tmp_path) as server:
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
