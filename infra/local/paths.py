"""Where the local stack keeps what it makes."""

import hashlib
import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Another folder for another stack of the same checkout: tests start one of their own.
STATE = Path(os.environ.get("IRONLOOP_STATE") or ROOT / ".local").absolute()
LOGS = STATE / "logs"
STACK_FILE = STATE / "stack.json"
LOCK_FILE = STATE / "stack.lock"
CRASH_FILE = STATE / "crash.txt"
SECRETS_FILE = STATE / "secrets.json"
KAFKA_FOLDER = STATE / "servers" / "kafka"
KAFKA_JARS = ROOT / ".local" / "kafka"
VENV_BIN = ROOT / ".venv" / "bin"

# PostgreSQL refuses to run as root; then it runs as this user, who owns nothing else.
SERVER_UID = 65534  # nobody
IS_ROOT = os.geteuid() == 0


def postgres_folder() -> Path:
    """Return the folder of PostgreSQL's data.

    Where root starts the stack, the server's own user must reach it, whatever the rights of the
    checkout's folders: it then lies in the system's folder for temporary files, by the name of
    the stack's folder.
    """
    if not IS_ROOT:
        return STATE / "servers" / "postgres"
    stack = hashlib.sha256(str(STATE).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"ironloop-{stack}"
