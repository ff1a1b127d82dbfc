"""What parties does, one transaction a command."""

import asyncio
import hmac
from functools import cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_events_pb2

from services.kit.database import Database
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id, parse_name
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.parties import store
from services.parties.errors import BadCredentials, PartyExists, RoleNotHeld, UserExists
from services.parties.issuer import Issuer
from services.parties.lifecycle import USER
from services.parties.model import Party, User, UserState, check_lei, check_uscc
from services.parties.settings import PartiesSettings

PRODUCES = (parties_events_pb2.PartyRegistered, parties_events_pb2.PartyRolesChanged)

SERVICE_ROLE = "SERVICE"
# The platform's own legal entity in the local setting: an invented code with a true check digit.
PLATFORM_USCC = "91310000MA1RNL000G"

_hasher = PasswordHasher()


async def create_party(
    tx: Transaction, *, legal_name: str, uscc: str, lei: str, roles: list[str]
) -> Party:
    """Register a legal entity.

    Raises:
        CheckDigitWrong: A check digit of `uscc` or `lei` is wrong.
        PartyExists: One of them is registered.
    """
    if uscc:
        check_uscc(uscc)
    if lei:
        check_lei(lei)
    party = await _register(tx, legal_name=legal_name, uscc=uscc, lei=lei, roles=roles)
    store.insert_party_last(tx, party, refusal=PartyExists(uscc or lei))
    return party


async def _register(
    tx: Transaction, *, legal_name: str, uscc: str, lei: str, roles: list[str]
) -> Party:
    """Return a new party and tell of it; it is still to be written."""
    party = Party(
        id=new_id(),
        version=1,
        event_sequence=1,
        legal_name=legal_name,
        uscc=uscc or None,
        lei=lei or None,
        roles=sorted(roles),
        create_time=tx.now,
        update_time=tx.now,
    )
    await tx.emit(
        parties_events_pb2.PartyRegistered(
            party=party.name,
            sequence=party.event_sequence,
            legal_name=legal_name,
            roles=role_numbers(party.roles),
        )
    )
    return party


async def get_party(database: Database, party_id: UUID) -> Party:
    """Return a legal entity.

    Raises:
        NotFound: There is none.
    """
    async with database.read() as connection:
        party = await store.find_party(connection, party_id, lock=False)
    if party is None:
        raise NotFound(name("parties", party_id))
    return party


async def change_roles(
    tx: Transaction,
    party_id: UUID,
    *,
    etag: str,
    grant: str | None = None,
    revoke: str | None = None,
) -> Party:
    """Grant a role to a party, or take one from it; what is so already changes nothing.

    Raises:
        NotFound: There is no such party.
        EtagMismatch: It changed since `etag` was read.
    """
    party = await store.find_party(tx.connection, party_id, lock=True)
    if party is None:
        raise NotFound(name("parties", party_id))
    check_etag(etag, party.version)
    roles = (set(party.roles) | {grant} if grant else set(party.roles)) - {revoke}
    if roles == set(party.roles):
        return party
    changed = await store.set_roles(
        tx.connection, party_id, sorted(role for role in roles if role), at=tx.now
    )
    await tx.emit(
        parties_events_pb2.PartyRolesChanged(
            party=changed.name,
            sequence=changed.event_sequence,
            roles=role_numbers(changed.roles),
        )
    )
    return changed


async def create_user(
    tx: Transaction, *, party_id: UUID, login: str, password_hash: str, roles: list[str]
) -> User:
    """Register a user of a party.

    Raises:
        NotFound: There is no such party.
        RoleNotHeld: The party does not hold one of the roles.
        UserExists: The login is taken.
    """
    party = await store.find_party(tx.connection, party_id, lock=False)
    if party is None:
        raise NotFound(name("parties", party_id))
    for role in roles:
        if role not in party.roles:
            raise RoleNotHeld(party.name, role)
    user = User(
        id=new_id(),
        version=1,
        party_id=party_id,
        login=login,
        password_hash=password_hash,
        roles=sorted(roles),
        state=UserState.ACTIVE,
        create_time=tx.now,
        update_time=tx.now,
    )
    if not await store.insert_user(tx.connection, user):
        raise UserExists(login)
    return user


async def get_user(database: Database, user_id: UUID, *, viewer: Principal) -> User:
    """Return a user that the viewer may see.

    Raises:
        NotFound: There is none, or they are of another party.
    """
    async with database.read() as connection:
        user = await store.find_user(connection, user_id, viewer=viewer)
    if user is None:
        raise NotFound(name("users", user_id))
    return user


async def change_password(
    tx: Transaction, user_id: UUID, *, present_password: str, new_hash: str
) -> User:
    """Replace a user's password.

    Raises:
        BadCredentials: The present password is wrong.
        TransitionRefused: The user is disabled.
    """
    user = await store.lock_user(tx.connection, user_id)
    if user is None or not await _fits(user.password_hash, present_password):
        raise BadCredentials
    step = USER.next(user.state, "change_password", subject=user.name)
    return await store.update_user(
        tx.connection, user_id, state=step.target, password_hash=new_hash, at=tx.now
    )


async def disable_user(tx: Transaction, user_id: UUID) -> User:
    """Disable a user; tokens they hold run out within their lifetime.

    Raises:
        NotFound: There is no such user.
        TransitionRefused: They are disabled already.
    """
    user = await store.lock_user(tx.connection, user_id)
    if user is None:
        raise NotFound(name("users", user_id))
    step = USER.next(user.state, "disable", subject=user.name)
    return await store.update_user(
        tx.connection, user_id, state=step.target, password_hash=user.password_hash, at=tx.now
    )


async def sign_in_user(database: Database, issuer: Issuer, *, login: str, password: str) -> str:
    """Return a token for a user.

    Raises:
        BadCredentials: Login or password is wrong, or the user is disabled.
    """
    async with database.read() as connection:
        user = await store.find_user_by_login(connection, login)
        party = await store.find_party(connection, user.party_id, lock=False) if user else None
    # An unknown login costs as much time as a wrong password, so that logins cannot be guessed.
    fits = await _fits(user.password_hash if user else _nobodys_hash(), password)
    if user is None or party is None or not fits or user.state is not UserState.ACTIVE:
        raise BadCredentials
    roles = [role for role in user.roles if role in party.roles]
    return issuer.issue(user.name, party=party.name, roles=roles)


async def sign_in_service(
    database: Database,
    issuer: Issuer,
    *,
    settings: PartiesSettings,
    service: str,
    secret: str,
    on_behalf_of: str,
) -> str:
    """Return a token for a service, for itself or on behalf of a user.

    A user who was disabled meanwhile does not stop what they began: the service answers for it.

    Raises:
        BadCredentials: Service or secret is wrong, or the user is unknown.
    """
    known = settings.service_secrets.get(service.removeprefix("services/"))
    expected = known.get_secret_value().encode() if known else b""
    if not expected or not hmac.compare_digest(expected, secret.encode()):
        raise BadCredentials
    if on_behalf_of:
        user_id = parse_name(on_behalf_of, "users", field="client.on_behalf_of")
        async with database.read() as connection:
            if not await store.user_exists(connection, user_id):
                raise BadCredentials
    return issuer.issue(service, party="", roles=[SERVICE_ROLE], on_behalf_of=on_behalf_of)


async def ensure_operator(database: Database, *, login: str, password: str) -> None:
    """Make the platform's first user, who can register all others; once."""
    async with database.read() as connection:
        if await store.find_user_by_login(connection, login) is not None:
            return
    password_hash = await hash_password(password)
    roles = ["ADMIN", "AUDITOR", "CLEARING_OPERATOR", "MODEL_VALIDATOR", "OPERATOR"]

    async def make(tx: Transaction) -> None:
        platform = await _register(
            tx, legal_name="Ironloop platform (local)", uscc=PLATFORM_USCC, lei="", roles=roles
        )
        await store.insert_party(tx.connection, platform)
        await create_user(
            tx, party_id=platform.id, login=login, password_hash=password_hash, roles=roles
        )

    await database.run(make)


async def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password; it takes tens of milliseconds, off the loop."""
    return await asyncio.to_thread(_hasher.hash, password)


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody signs in with this")


async def _fits(password_hash: str, password: str) -> bool:
    try:
        return await asyncio.to_thread(_hasher.verify, password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def role_numbers(roles: list[str]) -> list[options_pb2.Role.ValueType]:
    """Return the contract's numbers of role names."""
    return [options_pb2.Role.Value(f"ROLE_{role}") for role in roles]
