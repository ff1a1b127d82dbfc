"""buf on the contract's descriptor image: its style, and what it would break."""

import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.gate.check import ROOT, CheckFailed, git, run_program

MAIN_BRANCHES = ("origin/main", "main")
SHORT = 12  # characters of a commit's name shown

_COMPILE = "import build_stubs, pathlib, sys; build_stubs.compile_image(pathlib.Path(sys.argv[1]))"


def lint() -> str:
    """Check names, comments and layout.

    Raises:
        CheckFailed: They are not as `proto/buf.yaml` says.
    """
    with _image(ROOT / "proto") as image:
        run_program("buf", ["lint", str(image), "--config", "proto/buf.yaml"])
    return ""


def breaking() -> str:
    """Compare with the merge base with main; on main itself, with the commit before.

    Raises:
        CheckFailed: Somebody who uses the contract would have to change.
    """
    base = _base()
    if not base:
        return "there is no earlier commit"
    with tempfile.TemporaryDirectory() as folder:
        if not git("ls-tree", base, "proto/build_stubs.py"):
            return f"{base[:SHORT]} has no contract"
        _extract(base, Path(folder))
        try:
            with _image(Path(folder) / "proto") as old, _image(ROOT / "proto") as new:
                against = ["--against", str(old), "--config", "proto/buf.yaml"]
                run_program("buf", ["breaking", str(new), *against])
        except _NotCompiled as error:
            if error.proto == ROOT / "proto":
                raise
            return f"the contract of {base[:SHORT]} does not compile"
    return f"against {base[:SHORT]}"


class _NotCompiled(CheckFailed):
    """protoc refused; the message is what it said."""

    def __init__(self, proto: Path, said: str) -> None:
        super().__init__(said)
        self.proto = proto


def _base() -> str:
    """Return the commit to compare with, or "" where there is none."""
    head = git("rev-parse", "HEAD")
    for branch in MAIN_BRANCHES:
        try:
            base = git("merge-base", "HEAD", branch)
        except CheckFailed:
            continue
        if base != head:
            return base
    try:
        return git("rev-parse", "HEAD~1")
    except CheckFailed:
        return ""


def _extract(commit: str, folder: Path) -> None:
    archive = subprocess.run(
        ["git", "archive", commit, "proto"], cwd=ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")


@contextmanager
def _image(proto: Path) -> Iterator[Path]:
    """Compile a contract, with its own build, into a descriptor image.

    Raises:
        _NotCompiled: protoc refused.
    """
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.binpb"
        made = subprocess.run(
            [sys.executable, "-c", _COMPILE, str(image)],
            cwd=proto,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise _NotCompiled(proto, made.stdout + made.stderr)
        yield image
