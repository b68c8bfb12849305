"""Agents with a fault each: the kit must find it."""

from __future__ import annotations

import subprocess

import pytest

from interop.mutants.catalogue import MUTANTS
from interop.mutants.check import RUN, cases_for, look_at
from interop.mutants.mutant import StaleMutant
from serfcompat.conformance.case import AREAS, Level

FEW = ("arrays", "wrong-crc", "refute-too-low")
"Those that are looked at on every test run."


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=list(MUTANTS))
def test_each_fits_the_code_and_has_cases(mutant):
    compile(mutant.source(), mutant.module, "exec")
    assert mutant.area in [str(area) for area in AREAS]
    assert mutant.level in [str(level) for level in Level]
    assert mutant.area in [case.area for case in cases_for(mutant)]


def test_they_are_many_and_all_over_the_protocols():
    assert len(MUTANTS) >= 20
    assert len({mutant.area for mutant in MUTANTS.values()}) >= 15


def test_one_that_no_longer_fits_is_told():
    mutant = MUTANTS["arrays"]
    changed = type(mutant)(*(getattr(mutant, name) for name in type(mutant).__slots__[:-2]), "not there", "x")
    with pytest.raises(StaleMutant, match="0 times"):
        changed.source()


def test_a_name_is_needed():
    ran = subprocess.run([RUN, "bogus", "version"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "NAME agent" in ran.stderr


def test_what_is_there_is_listed():
    ran = subprocess.run([RUN, "--list"], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in ran.stdout.splitlines()] == list(MUTANTS)


@pytest.mark.socket
@pytest.mark.parametrize("name", FEW)
def test_the_kit_finds_some(name):
    mutant = MUTANTS[name]
    finding = look_at(mutant, [case for case in cases_for(mutant) if case.area == mutant.area])
    assert finding.found, finding.line()


@pytest.mark.slow
@pytest.mark.socket
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", [name for name in MUTANTS if name not in FEW])
def test_the_kit_finds_the_others(name):
    mutant = MUTANTS[name]
    finding = look_at(mutant, cases_for(mutant))
    assert finding.found, finding.line()
