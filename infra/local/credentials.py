"""The stack's secrets: made once, kept in a file that only its owner may read."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.files import write_private


@dataclass(frozen=True, slots=True)
class Credentials:
    """Every secret of the stack.

    Attributes:
        postgres: Of the server's superuser.
        operator: With which the platform's first user signs in.
        page_tokens: Under which the services sign page tokens.
        databases: By service, of its role in PostgreSQL.
        clients: By service, with which it signs in with the issuer.
    """

    postgres: str
    operator: str
    page_tokens: str
    databases: dict[str, str]
    clients: dict[str, str]


def load_credentials(path: Path, services: Sequence[str]) -> Credentials:
    """Return the secrets kept in `path`, making those that are missing."""
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    whole = {name: kept.get(name) or secrets.token_urlsafe(32) for name in _names(services)}
    if not whole.items() <= kept.items():
        write_private(path, json.dumps(kept | whole, indent=2))
    return Credentials(
        postgres=whole["postgres"],
        operator=whole["operator"],
        page_tokens=whole["page_tokens"],
        databases={service: whole[f"database.{service}"] for service in services},
        clients={service: whole[f"client.{service}"] for service in services},
    )


def _names(services: Sequence[str]) -> list[str]:
    of_services = [f"{kind}.{name}" for name in services for kind in ("database", "client")]
    return ["postgres", "operator", "page_tokens", *of_services]
