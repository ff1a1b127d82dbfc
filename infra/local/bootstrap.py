"""Set a machine up from nothing but Python: `python3 infra/local/bootstrap.py`.

Makes `.venv` with the locked dependencies, builds the contract's stubs into it, and fetches
Kafka's jars. Every step leaves a stamp of what it was made from, so a second run does only what
has changed. Needs the standard library alone.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "ironloop"
KAFKA_LOCK = ROOT / "infra" / "local" / "kafka.lock"
KAFKA_JARS = ROOT / ".local" / "kafka"
KAFKA_COORDINATES = "org.apache.kafka:kafka_2.13:4.3.1+org.slf4j:slf4j-simple:1.7.36"
PYTHON_MIN = (3, 11)
TRIES_MAX = 3  # a registry may be slow to answer once


class SetupError(Exception):
    """The machine lacks something; the message says what to do."""


def main() -> int:
    """Set up whatever is missing, with a line of progress each."""
    steps: list[tuple[str, Path, Callable[[], str], Callable[[], None]]] = [
        ("Python environment", STAMPS / "venv", _venv_source, _make_venv),
        ("dependencies", STAMPS / "dependencies", _lock_source, _install_dependencies),
        ("contract stubs", STAMPS / "stubs", _proto_source, _build_stubs),
        ("Kafka's jars", KAFKA_JARS / "stamp", _kafka_source, _fetch_kafka),
    ]
    try:
        _check_python()
        with _alone():
            for number, (what, stamp, source, make) in enumerate(steps, 1):
                _step(f"[{number}/{len(steps)}] {what}", stamp, source, make)
    except SetupError as error:
        print(f"setup stopped: {error}", file=sys.stderr)
        return 1
    return 0


def _step(title: str, stamp: Path, source: Callable[[], str], make: Callable[[], None]) -> None:
    wanted = source()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"{title} …", flush=True)
    started_s = time.monotonic()
    make()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)
    print(f"{title}: {time.monotonic() - started_s:.0f} s", flush=True)


def _check_python() -> None:
    if sys.version_info < PYTHON_MIN:
        raise SetupError(
            f"Python {PYTHON_MIN[0]}.{PYTHON_MIN[1]} or newer is needed, this is "
            f"{sys.version_info[0]}.{sys.version_info[1]}; name another: make PYTHON=python3.12"
        )


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the set-up lock, so that two calls of make do not work on one environment."""
    folder = ROOT / ".local"
    folder.mkdir(exist_ok=True)
    with (folder / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _venv_source() -> str:
    return f"python {sys.version_info[0]}.{sys.version_info[1]}"


def _make_venv() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SetupError(
            "this Python cannot make environments; install its venv package, on Debian: "
            f"apt-get install python{version}-venv\n{made.stdout}{made.stderr}"
        )
    _run([str(PYTHON), "-m", "pip", "install", "--quiet", "uv"], "uv could not be installed")


def _lock_source() -> str:
    return _venv_source() + _digest([ROOT / "requirements.lock"])


def _install_dependencies() -> None:
    _uv("pip", "sync", "--quiet", "--require-hashes", str(ROOT / "requirements.lock"))
    # The sync removes what the lock does not name: the stubs must be built again, and uv kept.
    (STAMPS / "stubs").unlink(missing_ok=True)


def _proto_source() -> str:
    files = [path for path in (ROOT / "proto").rglob("*") if path.is_file()]
    return _lock_source() + _digest(
        path for path in files if "build" not in path.relative_to(ROOT / "proto").parts
    )


def _build_stubs() -> None:
    # Needs no network: where it fails, the contract does not compile.
    install = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    _uv(*install, str(ROOT / "proto"), tries_max=1)


def _kafka_source() -> str:
    return _digest([KAFKA_LOCK])


def _fetch_kafka() -> None:
    """Fetch Kafka and what it needs, and check each jar against the lock."""
    shutil.rmtree(KAFKA_JARS, ignore_errors=True)
    KAFKA_JARS.mkdir(parents=True)
    jgo = [str(VENV / "bin" / "jgo"), "--resolver", "python"]
    _run([*jgo, "init", KAFKA_COORDINATES], "Kafka could not be resolved", folder=KAFKA_JARS)
    _run([*jgo, "sync"], "Kafka's jars could not be fetched", folder=KAFKA_JARS)
    fetched = {path.name: path for path in (KAFKA_JARS / ".jgo").glob("*/*.jar")}
    locked = {name: digest for digest, name in map(str.split, KAFKA_LOCK.read_text().splitlines())}
    if fetched.keys() != locked.keys():
        odd = sorted(fetched.keys() ^ locked.keys())
        raise SetupError(f"Kafka's jars are not those of {KAFKA_LOCK.name}: {', '.join(odd)}")
    for name, path in fetched.items():
        if _digest_file(path) != locked[name]:
            raise SetupError(f"{name} has not the SHA-256 that {KAFKA_LOCK.name} names")
        path.rename(KAFKA_JARS / name)


def _uv(*arguments: str, tries_max: int = TRIES_MAX) -> None:
    uv = [str(PYTHON), "-m", "uv", *arguments, "--python", str(PYTHON)]
    _run(uv, f"uv {' '.join(arguments[:2])} failed", tries_max=tries_max)


def _run(
    command: list[str], failure: str, *, folder: Path = ROOT, tries_max: int = TRIES_MAX
) -> None:
    """Run a command, again if it fails, since most failures here are a slow network."""
    for attempt in range(1, tries_max + 1):
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"UV_LINK_MODE": os.environ.get("UV_LINK_MODE", "hardlink")},
        )
        if done.returncode == 0:
            return
        if attempt < tries_max:
            print(f"  {failure}, trying again ({attempt} of {tries_max})", flush=True)
    reachable = "; is the package registry reachable?" if tries_max > 1 else ":"
    raise SetupError(f"{failure}{reachable}\n{done.stdout}{done.stderr}")


def _digest(paths: "Iterator[Path] | list[Path]") -> str:
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def _digest_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
