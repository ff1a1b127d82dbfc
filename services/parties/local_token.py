"""`python -m services.parties token`: a token without a password, in the local setting only."""

import argparse
import secrets
import sys
from collections.abc import Sequence

import uvloop
from pydantic import ValidationError

from services.kit.clock import BusinessClock
from services.kit.connection import Connection
from services.kit.database import Database
from services.kit.errors import DomainError
from services.parties import handlers, store
from services.parties.errors import IssuerDisabled, PartyUnknown, RoleNotHeld
from services.parties.issuer import Issuer
from services.parties.model import Party, User
from services.parties.settings import PartiesSettings

LISTED_MAX = 50  # parties named to somebody who asked for one that is not there


def main(arguments: Sequence[str]) -> int:
    """Print a token, or say on standard error why there is none."""
    parser = argparse.ArgumentParser(prog="python -m services.parties token", description=__doc__)
    parser.add_argument("--party", default="", help='its name, "parties/…", or its legal name')
    parser.add_argument("--role", default="", help="BUYER, LESSEE, …; absent: all that it holds")
    asked = parser.parse_args(arguments)
    try:
        settings = PartiesSettings()
        print(uvloop.run(issue_token(settings, party=asked.party, role=asked.role)))
    except (DomainError, ValidationError) as error:
        print(f"no token: {error}", file=sys.stderr)
        return 1
    return 0


async def issue_token(settings: PartiesSettings, *, party: str, role: str) -> str:
    """Return a token of a user of the party that holds the role; such a user is made if need be.

    Raises:
        IssuerDisabled: This is not the local setting, or another issuer is set.
        PartyUnknown: There is no such party; the message lists those that there are.
        RoleNotHeld: The party does not hold the role.
    """
    if not settings.issues_tokens:
        raise IssuerDisabled
    issuer = Issuer(
        issuer=settings.issuer, audience=settings.audience, lifetime=settings.token_lifetime
    )
    async with Database.open(
        settings.postgres_dsn.get_secret_value(),
        service="parties-token",
        clock=BusinessClock(),
        size_max=1,
        statement_timeout_ms=settings.statement_timeout_ms,
    ) as database:
        await issuer.load(database)
        async with database.read() as connection:
            found = await _find_party(connection, party)
            wanted = [role] if role else found.roles
            if not set(wanted) <= set(found.roles):
                raise RoleNotHeld(found.name, role)
            user = await store.find_active_user(connection, found.id, roles=wanted)
        user = user or await _make_user(database, found, wanted)
    return issuer.issue(user.name, party=found.name, roles=wanted)


async def _find_party(connection: Connection, wanted: str) -> Party:
    found = await store.find_party_called(connection, wanted)
    if found is None:
        known = await store.list_parties(connection, role=None, after=None, limit=LISTED_MAX)
        raise PartyUnknown(
            wanted, [f"{party.legal_name} ({', '.join(party.roles)})" for party in known]
        )
    return found


async def _make_user(database: Database, party: Party, roles: list[str]) -> User:
    """Register a user with whom nobody can sign in, for these roles."""
    login = f"local:{party.id}:{'+'.join(roles)}"
    password_hash = await handlers.hash_password(secrets.token_urlsafe(32))
    return await database.run(
        lambda tx: handlers.create_user(
            tx, party_id=party.id, login=login, password_hash=password_hash, roles=roles
        )
    )
