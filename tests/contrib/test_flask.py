"""The Flask extension, by Flask's own test clients, and the README's page under gunicorn beside a Go agent."""

from __future__ import annotations

import re

import pytest
from flask import Flask, current_app

from serfcompat.contrib.flask import FlaskSerf
from serfcompat.errors import UsageError
from tests.agents import AgentProcess, run_serf
from tests.contrib.hosts import until
from tests.contrib.servers import HTTP_PORT, Gunicorn
from tests.example_programs import EXAMPLES

pytestmark = pytest.mark.socket


def keys(host):
    return {f"SERF_{key.upper()}": value for key, value in host.settings.items()}


@pytest.fixture
def app(fresh_local, host):
    app = Flask("shop")
    app.config |= keys(host(tags={"role": "web"}, log_file="/dev/null")) | {"SERF_URL_PREFIX": "/serf"}
    return app


def test_pages_of_the_blueprint(app, fresh_local):
    FlaskSerf(app)
    client = app.test_client()
    assert not fresh_local.attached
    assert client.get("/serf/members").json[0]["name"] == "web"
    report = client.get("/serf/health")
    assert (report.status_code, report.json["status"], report.json["member"]) == (200, "ok", "web")
    fresh_local.set_tags({"draining": "1"})
    until(lambda: client.get("/serf/health").json["status"] == "draining")
    assert client.get("/serf/health").status_code == 503


def test_there_are_no_pages_unless_wanted(app, fresh_local):
    del app.config["SERF_URL_PREFIX"]
    FlaskSerf(app)
    assert app.test_client().get("/serf/members").status_code == 404


def test_handlers_have_the_context_of_the_app(app, fresh_local):
    serf = FlaskSerf()
    heard = []

    @serf.on("deploy")
    def deployed(event):
        heard.append((current_app.name, event.payload))

    serf.init_app(app)
    with app.app_context():
        assert [member.name for member in serf.members(tags={"role": "web"})] == ["web"]
        serf.user_event("deploy", "v2")
    until(lambda: heard == [("shop", b"v2")])


def test_command_line(app, fresh_local):
    serf = FlaskSerf(app)
    serf.on("query:load")(lambda query: f"{query.payload.decode()}: 0.5")
    heard = []
    serf.on("deploy")(heard.append)
    run = app.test_cli_runner().invoke
    listed = run(args=["serf", "members", "--tag", "role=web"])
    assert re.fullmatch(r"web  \S+  alive  role=web\n", listed.output)
    assert run(args=["serf", "event", "deploy", "v3"]).exit_code == 0
    until(lambda: [event.payload for event in heard] == [b"v3"])
    assert run(args=["serf", "query", "load", "now", "--timeout", "1"]).output == "web: now: 0.5\n"


def test_wrong_settings_are_told_at_once(fresh_local):
    app = Flask("shop")
    app.config |= {"SERF_NODENAME": "web", "SERF_TAGS": {"role": 1}}
    with pytest.raises(UsageError, match=r"invalid keys: nodename"):
        FlaskSerf(app)


@pytest.mark.interop
def test_page_of_the_readme_tells_members_and_what_was_typed_on_a_go_node(host):
    source = (EXAMPLES / "flask_page.py").read_text()
    assert len([line for line in source.splitlines() if line.strip()]) <= 20
    with AgentProcess("go-0.10.1", "go") as go:
        web = host(retry_join=[go.gossip])
        with Gunicorn(web, "flask_page:app", "-w", "2", where=EXAMPLES) as server:
            server.wait()
            until(lambda: server.get()[1].startswith(f"go {go.gossip} alive\nweb {web.address} alive\n"))
            assert run_serf("go-0.10.1", "event", f"-rpc-addr={go.rpc}", "deploy", "v2").code == 0
            # Both workers have heard: whoever answers, the page says so.
            until(lambda: all("deployed: v2" in server.get()[1] for _ in range(8)))


def test_a_service_is_found_by_its_tag_while_its_hosts_come_and_go(host):
    shop = host("shop")
    with Gunicorn(shop, "flask_discovery:app", "-w", "2", where=EXAMPLES) as front:
        until(lambda: front.get("/shop")[0] == 503)
        prices = []
        for name in ("price-1", "price-2"):
            served = host(name, retry_join=[shop.address], linger=0.5)
            url = f"http://{served.address.partition(':')[0]}:{HTTP_PORT}"
            served.settings["tags"] = {"price": url}
            prices.append(Gunicorn(served, "flask_discovery:app", "-w", "1", where=EXAMPLES, env={"NAME": name}))
        with prices[0] as first:
            until(lambda: front.get("/shop") == (200, '{"by":"price-1","price":42}\n'))
            with prices[1]:
                until(lambda: "price-2" in front.get("/shop")[1])
                first.process.terminate()
                until(lambda: {front.get("/shop")[1] for _ in range(8)} == {'{"by":"price-2","price":42}\n'})
