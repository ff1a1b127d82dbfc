"""Ten rounds that together hold every fault: nothing is lost, doubled or altered."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.local.paths import ROOT
from loadtests.faults.plan import DISK, ROUNDS_OF_BLOCK, faults_of

WITHIN_S = 900  # about a minute where nothing else runs


@pytest.mark.timeout(WITHIN_S + 30)
def test_ten_rounds_hold_every_fault_and_none_does_harm(tmp_path: Path) -> None:
    options = ["--seed", "0", "--rounds", str(ROUNDS_OF_BLOCK), "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.faults", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "campaign.json").read_text())
    with_disk = not report["left_out"]
    wanted = {
        fault.name
        for seed in range(ROUNDS_OF_BLOCK)
        for fault in faults_of(seed, with_disk=with_disk)
    }
    assert report["faults"].keys() == wanted
    assert with_disk == (DISK in wanted)
    assert report["rounds"] == ROUNDS_OF_BLOCK
    assert report["posted"] > 100
    assert report["repeated"] > 50
    for one in report["by_round"]:
        assert one["counted_s"] < report["serves_within_s"]
        assert one["counted_s"] <= one["recovery_s"]
        assert one["snapshots"] > 0
    assert not [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if any(report["stacks"][0] in word for word in process.info["cmdline"] or ())
    ]
