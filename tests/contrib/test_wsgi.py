"""The middleware, around an app without a framework."""

from __future__ import annotations

import json
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from serfcompat.contrib.wsgi import ENVIRON_KEY, SerfMiddleware, health
from serfcompat.errors import UsageError
from tests.contrib.hosts import until

pytestmark = pytest.mark.socket


def app(environ, start_response):
    names = [member.name for member in environ[ENVIRON_KEY].members()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [", ".join(names).encode()]


def get(application, path):
    """Status and body."""
    environ = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    told = []
    body = validator(application)(environ, lambda status, headers, exc_info=None: told.append(status))
    try:
        return told[0] if told else "", b"".join(body)
    finally:
        body.close()


def test_the_app_has_the_cluster_and_balancers_have_a_page(fresh_local, host):
    application = SerfMiddleware(app, host(log_file="/dev/null").settings, health_path="/health")
    assert not health(fresh_local)[0]
    assert get(application, "/") == ("200 OK", b"web")
    status, body = get(application, "/health")
    assert (status, json.loads(body)["status"]) == ("200 OK", "ok")
    fresh_local.set_tags({"draining": "1"})
    until(lambda: fresh_local.draining)
    assert get(application, "/health")[0] == "503 Service Unavailable"


def test_two_apps_in_a_process_need_the_same_settings(fresh_local):
    SerfMiddleware(app, {"node_name": "web"})
    SerfMiddleware(app, {"node_name": "web"})
    with pytest.raises(UsageError, match="one process has one"):
        SerfMiddleware(app, {"node_name": "other"})


def test_settings_come_before_the_start(fresh_local, host):
    web = host(log_file="/dev/null")
    fresh_local.start_when_configured()
    fresh_local.configure(web.settings)
    assert fresh_local.wait()
    with pytest.raises(UsageError, match="one process has one"):
        fresh_local.configure(web.settings | {"node_name": "late"})
