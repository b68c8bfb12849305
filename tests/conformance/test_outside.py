"""Programs on memberlist that are neither Serf nor ours: what the kit says of them on that level."""

from __future__ import annotations

import json

import pytest

from serfcompat.cli.main import main
from tests.foreign.alertmanager import Alertmanager

pytestmark = [pytest.mark.interop, pytest.mark.socket]

RELEASES = {"0.21": "0.2.2", "0.28": "0.5.0"}
"memberlist in each Alertmanager of Debian."
FEW = ("ping", "compound", "crc", "push-pull-answer", "alive-new", "label-unexpected", "encrypt-unconfigured")


def conformance(version, label, folder, *args):
    """The report on a new Alertmanager."""
    path = folder / "report.json"
    with Alertmanager(version, folder, label=label) as node:
        flags = [f"-memberlist={node.gossip}", "-profile=lan", f"-as={RELEASES[version]}", "-quiet"]
        labelled = [f"-label={label}"] if label else []
        status = main(["conformance", *flags, *labelled, *args, "-format=json", f"-output={path}"])
    report = json.loads(path.read_text())
    failed = [(each["id"], each["why"]) for each in report["results"] if each["verdict"] in ("failed", "error")]
    assert (status, failed) == (0, [])
    return report


def test_an_alertmanager_passes_some(tmp_path):
    report = conformance("0.28", "", tmp_path, *(f"-only={name}" for name in FEW))
    assert report["counts"]["passed"] > 20


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("version", "label"), [("0.21", ""), ("0.28", ""), ("0.28", "blue")])
def test_an_alertmanager_passes_all_that_applies(version, label, tmp_path):
    report = conformance(version, label, tmp_path)
    assert report["counts"]["passed"] > 120
    assert all(each["why"] for each in report["results"] if each["verdict"] == "not applicable")
    if label:
        passed = {each["id"] for each in report["results"] if each["verdict"] == "passed"}
        assert {"label-expected", "label-other"} <= passed
