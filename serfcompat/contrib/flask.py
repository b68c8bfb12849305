"""Flask: `serf = FlaskSerf(app)`, or `serf.init_app(app)` later.

Configuration keys are `SERF_` and a setting's name: `SERF_NODE_NAME`, `SERF_BIND`, `SERF_TAGS`, `SERF_RETRY_JOIN`,
`SERF_RUN_DIR` and so on, all that `local().configure` takes. Beside them:

    SERF_URL_PREFIX   where the pages `health` and `members` are; none unless it is set

`flask serf members`, `flask serf event NAME [PAYLOAD]` and `flask serf query NAME [PAYLOAD]` use the same member.
"""

from __future__ import annotations

import functools
from typing import Any

import click
from flask import Blueprint, Flask, current_app, jsonify
from flask.cli import AppGroup

from serfcompat.contrib.handlers import Handler, Per
from serfcompat.contrib.local import LocalSerf, local
from serfcompat.contrib.wsgi import as_dict, health

PREFIX = "SERF_"
EXTENSION = "serfcompat"
_OURS = frozenset({"SERF_URL_PREFIX"})


class FlaskSerf:
    """The extension. Everything but `on` is `local()`'s: `serf.members(…)`, `serf.user_event(…)`, `serf.query(…)`."""

    def __init__(self, app: Flask | None = None) -> None:
        self.local = local()
        self.members = self.local.members
        self.user_event = self.local.user_event
        self.query = self.local.query
        self.set_tags = self.local.set_tags
        self._app: Flask | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the app's configuration; nothing is started before its first request, or a server's hook.

        Raises UsageError for a setting that can't be used.
        """
        settings = {
            key.removeprefix(PREFIX).lower(): value
            for key, value in app.config.items()
            if key.startswith(PREFIX) and key not in _OURS
        }
        self.local.configure(settings)
        self._app = app
        app.extensions[EXTENSION] = self
        app.before_request(self.local.start)
        app.cli.add_command(cli)
        if prefix := app.config.get("SERF_URL_PREFIX"):
            app.register_blueprint(blueprint(), url_prefix=prefix)

    def on(self, events: str, *, per: Per = "worker") -> Any:
        """As `LocalSerf.on`; the handler has the app's context."""

        def register(handler: Handler) -> Handler:
            self.local.on(events, self._in_context(handler), per=per)
            return handler

        return register

    def on_gap(self, handler: Handler) -> Handler:
        """As `LocalSerf.on_gap`; the handler has the app's context."""
        self.local.on_gap(self._in_context(handler))
        return handler

    def _in_context(self, handler: Handler) -> Handler:
        @functools.wraps(handler)
        def run(event: Any) -> Any:
            if self._app is None:
                return handler(event)
            with self._app.app_context():
                return handler(event)

        return run


def _serf() -> LocalSerf:
    extension: FlaskSerf = current_app.extensions[EXTENSION]
    return extension.local


def blueprint() -> Blueprint:
    """Pages for balancers and people: `health` (200 or 503) and `members`. ⚠ They tell who is in the cluster."""
    pages = Blueprint("serf", __name__)

    @pages.get("/health")
    def health_page() -> Any:
        healthy, report = health(_serf())
        return jsonify(report), 200 if healthy else 503

    @pages.get("/members")
    def members_page() -> Any:
        return jsonify([as_dict(member) for member in _serf().members(status=None)])

    return pages


cli = AppGroup("serf", help="The cluster, by this host's member.")


@cli.command("members")
@click.option("--tag", "tags", multiple=True, metavar="KEY=REGEXP", help="Only members with such a tag.")
@click.option("--all", "everyone", is_flag=True, help="Also those that left or failed.")
def members_command(tags: tuple[str, ...], everyone: bool) -> None:
    """List members: name, address, status, tags."""
    wanted = dict(tag.partition("=")[::2] for tag in tags)
    for member in _serf().members(wanted, status=None if everyone else "alive"):
        shown = ",".join(f"{key}={value}" for key, value in sorted(member.tags.items()))
        click.echo(f"{member.name}  {member.address}  {member.status}  {shown}".rstrip())


@cli.command("event")
@click.argument("name")
@click.argument("payload", default="")
def event_command(name: str, payload: str) -> None:
    """Send a user event to all members."""
    _serf().user_event(name, payload)


@cli.command("query")
@click.argument("name")
@click.argument("payload", default="")
@click.option("--timeout", type=float, help="Seconds to wait for answers.")
def query_command(name: str, payload: str, timeout: float | None) -> None:
    """Ask all members, and print their answers as they come."""
    for answer in _serf().query(name, payload, timeout=timeout):
        if answer.type == answer.RESPONSE:
            click.echo(f"{answer.from_}: {(answer.payload or b'').decode('utf-8', 'replace')}")
