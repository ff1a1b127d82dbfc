"""A scenario whose services do not exist says so, and nothing is started for it."""

import subprocess
import sys

import pytest

from infra.local.paths import ROOT
from loadtests.scenario import MISSING, SCENARIOS


@pytest.mark.parametrize("name", ["S5", "s6"])
def test_a_scenario_that_cannot_be_run_yet_says_what_it_waits_for(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtests", "load", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    reason = MISSING[name.lower()]
    assert done.stderr == f"load: {name.lower()} cannot be run yet: {reason}\n"
    assert done.stdout == ""


def test_every_scenario_of_the_design_can_be_run_or_says_why_not() -> None:
    wanted = {f"s{number}" for number in range(1, 9)}
    assert wanted <= SCENARIOS.keys() | MISSING.keys()
    assert not SCENARIOS.keys() & MISSING.keys()
