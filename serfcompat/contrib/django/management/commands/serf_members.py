"""`manage.py serf_members [--tag KEY=REGEXP] [--all]`"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from serfcompat.contrib.local import local
from serfcompat.errors import SerfCompatError


class Command(BaseCommand):  # type: ignore[misc]
    help = "List the members of the cluster: name, address, status, tags."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--tag", action="append", default=[], metavar="KEY=REGEXP", help="only with such a tag")
        parser.add_argument("--all", action="store_true", help="also those that left or failed")

    def handle(self, *_: Any, **options: Any) -> None:
        tags = dict(tag.partition("=")[::2] for tag in options["tag"])
        try:
            found = local().members(tags, status=None if options["all"] else "alive")
        except SerfCompatError as error:
            raise CommandError(str(error)) from error
        for member in found:
            shown = ",".join(f"{key}={value}" for key, value in sorted(member.tags.items()))
            self.stdout.write(f"{member.name}  {member.address}  {member.status}  {shown}".rstrip())
