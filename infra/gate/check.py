"""What a check is, and how a program is run as one."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / ".venv" / "bin"
WITHIN_S = 600.0


class CheckFailed(Exception):
    """The check found something; the message is what it found, whole."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the gate.

    Attributes:
        run: Returns what there is to say beside "passed", mostly nothing.
    """

    name: str
    run: Callable[[], str]


def program(name: str, *arguments: str) -> Callable[[], str]:
    """Return a check that is a program of the environment and its exit code."""
    return lambda: run_program(name, arguments) and ""


def run_program(name: str, arguments: Sequence[str]) -> str:
    """Run a program of the environment at the checkout's root and return what it printed.

    Raises:
        CheckFailed: Its exit code is not 0.
    """
    done = subprocess.run(
        [str(PROGRAMS / name), *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    if done.returncode != 0:
        raise CheckFailed(done.stdout)
    return done.stdout


def git(*arguments: str) -> str:
    """Return what git says at the checkout's root.

    Raises:
        CheckFailed: It refuses.
    """
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CheckFailed(f"git {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()
