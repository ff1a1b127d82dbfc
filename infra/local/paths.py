"""Where the local stack keeps what it makes."""

import hashlib
import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".local"
LOGS = STATE / "logs"
STACK_FILE = STATE / "stack.json"
SECRETS_FILE = STATE / "secrets.json"
KAFKA_JARS = STATE / "kafka"
VENV_BIN = ROOT / ".venv" / "bin"

# PostgreSQL refuses to run as root; then it runs as this user, who owns nothing else.
SERVER_UID = 65534  # nobody
IS_ROOT = os.geteuid() == 0


def server_folder() -> Path:
    """Return the folder of PostgreSQL's data.

    Where root starts the stack, the server's own user must reach it, whatever the rights of the
    checkout's folders: it then lies in the system's folder for temporary files, by the name of
    the checkout.
    """
    if not IS_ROOT:
        return STATE / "servers"
    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"ironloop-{checkout}"
