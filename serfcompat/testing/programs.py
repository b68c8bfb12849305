"""Which program a node of a mixed cluster runs, and how many of each there are: `0.10.1:3`."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from serfcompat.errors import UsageError
from serfcompat.testing.node import AgentError
from serfcompat.testing.peers import peers_folder
from serfcompat.testing.processes import Kind, go_agent, serfcompat_agent

GO_VERSIONS = ("0.9.4", "0.10.1")
PYTHON_VERSIONS = ("3.11", "3.13")
"Versions of Python that there are images for."
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
"The Python that runs this."


class NotHere(UsageError):
    """This machine, or this back end, can't do what is asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """An implementation in one version."""

    name: str
    "`go` or `py`."
    version: str
    "Of serf, or of the Python that runs serfcompat."

    def __str__(self) -> str:
        return f"serf {self.version}" if self.name == "go" else f"serfcompat on Python {self.version}"

    @property
    def image(self) -> str:
        """Its recipe in `images.toml`."""
        return f"serf:{self.version}" if self.name == "go" else f"serfcompat:{self.version}"

    def kind(self) -> Kind:
        """How it is run as a process. NotHere: it can't be."""
        if self.name == "py":
            if self.version != HERE:
                raise NotHere(f"processes run serfcompat on the Python that is here, {HERE}, not on {self.version}")
            return serfcompat_agent()
        try:
            return go_agent(self.version, peers_folder())
        except AgentError as error:
            raise NotHere(f"{error}: `python -m serfcompat.testing.peers` gets it") from error


def parse(name: str, wanted: str | int) -> list[Program]:
    """The programs of `go=` and `py=`: `3` of the default version, `0.10.1`, `0.9.4:1,0.10.1:2`. UsageError."""
    default = GO_VERSIONS[-1] if name == "go" else default_python()
    if isinstance(wanted, int):
        return [Program(name, default)] * wanted
    found: list[Program] = []
    for part in re.split(r"[,\s]+", wanted.strip()):
        match = re.fullmatch(r"(\d+(?:\.\d+)+)(?::(\d+))?", part)
        if match is None:
            raise UsageError(f"{name}={wanted!r}: say a number of nodes, or VERSION:NUMBER such as {default}:3")
        found += [Program(name, match[1])] * int(match[2] or 1)
    return found


def default_python() -> str:
    """The Python that runs this if there is an image for it, else the oldest that there is one for."""
    return HERE if HERE in PYTHON_VERSIONS else PYTHON_VERSIONS[0]
