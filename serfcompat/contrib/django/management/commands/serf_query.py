"""`manage.py serf_query NAME [PAYLOAD] [--timeout SECONDS]`"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from serfcompat.contrib.local import local
from serfcompat.errors import SerfCompatError


class Command(BaseCommand):  # type: ignore[misc]
    help = "Ask all members of the cluster, and print their answers as they come."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("name")
        parser.add_argument("payload", nargs="?", default="")
        parser.add_argument("--timeout", type=float, help="seconds to wait for answers")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            for answer in local().query(options["name"], options["payload"], timeout=options["timeout"]):
                if answer.type == answer.RESPONSE:
                    self.stdout.write(f"{answer.from_}: {(answer.payload or b'').decode('utf-8', 'replace')}")
        except SerfCompatError as error:
            raise CommandError(str(error)) from error
