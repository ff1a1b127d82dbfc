"""What would break those who use the contract does not pass."""

import shutil
import subprocess
from pathlib import Path

import pytest

from infra.gate import check, proto
from infra.gate.check import ROOT, CheckFailed

IDENTITY = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout of one commit whose contract has one more field than the present one."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto", ignore=shutil.ignore_patterns("build"))
    for module in (check, proto):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    git(tmp_path, "init", "-b", "main")
    return tmp_path


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-m", "A commit")


def test_a_field_taken_away_breaks_and_one_added_does_not(checkout: Path) -> None:
    commit(checkout)
    assert proto.breaking() == "there is no earlier commit"

    parties = checkout / "proto" / "ironloop" / "parties" / "v1" / "parties.proto"
    text = parties.read_text()
    added = "message GetPartyRequest {\n  // A field of this test.\n  string extra = 99;"
    parties.write_text(text.replace("message GetPartyRequest {", added))
    commit(checkout)
    assert proto.breaking().startswith("against ")

    parties.write_text(text)
    commit(checkout)
    with pytest.raises(CheckFailed, match='field "99" with name "extra"'):
        proto.breaking()


def test_a_base_without_a_contract_that_compiles_is_said_and_passes(checkout: Path) -> None:
    whole = checkout / "proto"
    whole.rename(checkout / "aside")
    (checkout / "page.md").write_text("no contract yet")
    git(checkout, "add", "page.md")
    git(checkout, "commit", "-m", "A commit")
    (checkout / "aside").rename(whole)
    commit(checkout)
    assert "has no contract" in proto.breaking()

    broken = whole / "ironloop" / "parties" / "v1" / "parties.proto"
    text = broken.read_text()
    broken.write_text(text + "message {")
    commit(checkout)
    broken.write_text(text)
    commit(checkout)
    assert "does not compile" in proto.breaking()
