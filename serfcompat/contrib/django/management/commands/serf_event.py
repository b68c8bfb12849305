"""`manage.py serf_event NAME [PAYLOAD]`"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from serfcompat.contrib.local import local
from serfcompat.errors import SerfCompatError


class Command(BaseCommand):  # type: ignore[misc]
    help = "Send a user event to all members of the cluster."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("name")
        parser.add_argument("payload", nargs="?", default="")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            local().user_event(options["name"], options["payload"])
        except SerfCompatError as error:
            raise CommandError(str(error)) from error
