"""The Django app, by Django's own test client, and the example's flags under gunicorn."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

from tests.contrib.hosts import ROOT, until
from tests.contrib.servers import Gunicorn
from tests.example_programs import EXAMPLES

pytestmark = pytest.mark.socket

SITE = """
import io, json, sys, time
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="site_urls", INSTALLED_APPS=["serfcompat.contrib.django"],
    SERF=json.loads(sys.argv[1]),
)
import types
urls = sys.modules["site_urls"] = types.ModuleType("site_urls")
django.setup()
from django.urls import include, path
urls.urlpatterns = [path("serf/", include("serfcompat.contrib.django.urls"))]
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.test import Client
from django.dispatch import receiver
from serfcompat.contrib import local
from serfcompat.contrib.django.signals import member_event, user_event

def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

def command(*args, **options):
    out = io.StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()

"""


def django(settings, code):
    """Run code in a process that has Django set up with our app; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", SITE + code, json.dumps(settings)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pages_signals_and_commands(host):
    settings = host(tags={"role": "web"}).settings
    out = django(
        settings,
        """
heard = []
@receiver(user_event)
def on_event(sender, name, payload, **kwargs):
    heard.append((name, payload))
@receiver(user_event)
def broken(**kwargs):
    raise ValueError("one receiver's fault")
local().on("query:load", lambda query: "0.5")
assert not local().attached
client = Client()
until(lambda: client.get("/serf/health").status_code == 200)
assert [each["name"] for each in client.get("/serf/members").json()] == ["web"]
assert client.post("/serf/members").status_code == 405
command("serf_event", "deploy", "v2")
until(lambda: heard == [("deploy", b"v2")])
print(command("serf_members", tag=["role=web"]), command("serf_query", "load", timeout=1.0))
local().set_tags({"draining": "1"})
until(lambda: client.get("/serf/health").status_code == 503)
""",
    )
    assert re.fullmatch(r"web  \S+  alive  role=web\n web: 0.5\n\n", out)


def test_checks_tell_what_is_wrong(host):
    out = django(
        {"nodename": "x"},
        """
try:
    call_command("check")
except SystemCheckError as error:
    print(error)
try:
    Client().get("/serf/health")
except Exception as error:
    print(type(error).__name__, error)
""",
    )
    assert "(serfcompat.E001) settings of the host's member" in out
    assert "invalid keys: nodename" in out
    assert "ImproperlyConfigured" in out


def test_checks_warn_of_the_run_directory():
    out = django({"run_dir": "/proc/nowhere"}, "from django.core.checks import run_checks; print(run_checks())")
    assert "serfcompat.W001" in out


def test_a_flag_that_is_switched_on_one_host_is_on_in_all_workers_of_all(host, tmp_path):
    one, two = host("web-1"), host("web-2")
    two.settings["retry_join"] = [one.address]
    flags = tmp_path / "flags.json"
    flags.write_text('{"new_page": false}')

    def server(web):
        env = {"SERF": json.dumps(web.settings), "FLAGS": str(flags)}
        return Gunicorn(web, "django_page:application", "-w", "2", where=EXAMPLES, env=env)

    with server(one) as first, server(two) as second:
        servers = [first.wait(), second.wait()]
        until(lambda: all(len(each.json("/serf/members")) == 2 for each in servers))

        def pages(each):
            """What its workers say, by process."""
            seen = {}
            until(lambda: len(seen) == 2 or seen.update([each.get()[1].split(" ", 1)]))
            return seen

        assert {page for each in servers for page in pages(each).values()} == {"old page"}
        data = urllib.parse.urlencode({"new_page": "on"}).encode()
        with urllib.request.urlopen(f"{first.url}/switch", data, timeout=20) as answer:
            assert answer.read() == b"done"
        until(lambda: {page for each in servers for page in pages(each).values()} == {"new page"})
