"""The contract of parties: protobuf to arguments and back, nothing else."""

from typing import Any

from google.protobuf import duration_pb2
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from services.kit import wire
from services.kit.etags import etag
from services.kit.ids import name, parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.parties import handlers, store
from services.parties.errors import IssuerDisabled
from services.parties.issuer import Issuer, SigningKey, make_key
from services.parties.model import Party, User
from services.parties.settings import PartiesSettings


class PartiesRpc(parties_pb2_grpc.PartiesServiceServicer):
    """Serves ironloop.parties.v1.PartiesService."""

    def __init__(self, runtime: Runtime, issuer: Issuer, settings: PartiesSettings) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages
        self._issuer = issuer
        self._settings = settings

    async def CreateParty(
        self, request: parties_pb2.CreatePartyRequest, context: Any
    ) -> parties_pb2.Party:
        """Register a legal entity."""

        async def work(tx: Transaction) -> parties_pb2.Party:
            return party_to_wire(
                await handlers.create_party(
                    tx,
                    legal_name=request.legal_name,
                    uscc=request.uscc,
                    lei=request.lei,
                    roles=[role_name(role) for role in request.roles],
                )
            )

        return await self._commands.run(request, work)

    async def GetParty(
        self, request: parties_pb2.GetPartyRequest, context: Any
    ) -> parties_pb2.Party:
        """Return a legal entity."""
        party_id = parse_name(request.name, "parties")
        return party_to_wire(await handlers.get_party(self._database, party_id))

    async def ListParties(
        self, request: parties_pb2.ListPartiesRequest, context: Any
    ) -> parties_pb2.ListPartiesResponse:
        """List legal entities by legal name."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await store.list_parties(
                connection,
                role=role_name(request.role) if request.role else None,
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.legal_name, row.id))
        return parties_pb2.ListPartiesResponse(
            parties=[party_to_wire(party) for party in kept], next_page_token=token
        )

    async def GrantRole(
        self, request: parties_pb2.GrantRoleRequest, context: Any
    ) -> parties_pb2.Party:
        """Grant a role to a party."""

        async def work(tx: Transaction) -> parties_pb2.Party:
            party_id = parse_name(request.name, "parties")
            return party_to_wire(
                await handlers.change_roles(
                    tx, party_id, etag=request.etag, grant=role_name(request.role)
                )
            )

        return await self._commands.run(request, work)

    async def RevokeRole(
        self, request: parties_pb2.RevokeRoleRequest, context: Any
    ) -> parties_pb2.Party:
        """Take a role from a party."""

        async def work(tx: Transaction) -> parties_pb2.Party:
            party_id = parse_name(request.name, "parties")
            return party_to_wire(
                await handlers.change_roles(
                    tx, party_id, etag=request.etag, revoke=role_name(request.role)
                )
            )

        return await self._commands.run(request, work)

    async def CreateUser(
        self, request: parties_pb2.CreateUserRequest, context: Any
    ) -> parties_pb2.User:
        """Register a user of a party."""
        password_hash = await handlers.hash_password(request.password)

        async def work(tx: Transaction) -> parties_pb2.User:
            return user_to_wire(
                await handlers.create_user(
                    tx,
                    party_id=parse_name(request.party, "parties", field="party"),
                    login=request.login,
                    password_hash=password_hash,
                    roles=[role_name(role) for role in request.roles],
                )
            )

        return await self._commands.run(request, work)

    async def GetUser(self, request: parties_pb2.GetUserRequest, context: Any) -> parties_pb2.User:
        """Return a user that the caller may see."""
        user_id = parse_name(request.name, "users")
        return user_to_wire(await handlers.get_user(self._database, user_id, viewer=principal()))

    async def ChangePassword(
        self, request: parties_pb2.ChangePasswordRequest, context: Any
    ) -> parties_pb2.User:
        """Replace the caller's own password."""
        new_hash = await handlers.hash_password(request.new_password)

        async def work(tx: Transaction) -> parties_pb2.User:
            return user_to_wire(
                await handlers.change_password(
                    tx,
                    parse_name(principal().subject, "users", field="authorization"),
                    present_password=request.present_password,
                    new_hash=new_hash,
                )
            )

        return await self._commands.run(request, work)

    async def DisableUser(
        self, request: parties_pb2.DisableUserRequest, context: Any
    ) -> parties_pb2.User:
        """Disable a user."""

        async def work(tx: Transaction) -> parties_pb2.User:
            user_id = parse_name(request.name, "users")
            return user_to_wire(await handlers.disable_user(tx, user_id))

        return await self._commands.run(request, work)

    async def IssueToken(
        self, request: parties_pb2.IssueTokenRequest, context: Any
    ) -> parties_pb2.IssueTokenResponse:
        """Issue a token against credentials."""
        if not self._settings.issues_tokens:
            raise IssuerDisabled
        if request.WhichOneof("credentials") == "user":
            token = await handlers.sign_in_user(
                self._database,
                self._issuer,
                login=request.user.login,
                password=request.user.password,
            )
        else:
            token = await handlers.sign_in_service(
                self._database,
                self._issuer,
                settings=self._settings,
                service=request.client.service,
                secret=request.client.secret,
                on_behalf_of=request.client.on_behalf_of,
            )
        lifetime = duration_pb2.Duration()
        lifetime.FromTimedelta(self._issuer.lifetime)
        return parties_pb2.IssueTokenResponse(token=token, lifetime=lifetime)

    async def RotateSigningKey(
        self, request: parties_pb2.RotateSigningKeyRequest, context: Any
    ) -> parties_pb2.RotateSigningKeyResponse:
        """Put a new signing key in use."""
        if not self._settings.issues_tokens:
            raise IssuerDisabled

        made: list[SigningKey] = []

        async def work(tx: Transaction) -> parties_pb2.RotateSigningKeyResponse:
            made[:] = [await make_key(tx)]
            return parties_pb2.RotateSigningKeyResponse(key_id=made[0].id)

        answer = await self._commands.run(request, work)
        for key in made:
            if key.id == answer.key_id:  # else a repeated call was given the first one's answer
                self._issuer.use(key)
        return answer


def party_to_wire(party: Party) -> parties_pb2.Party:
    """Return a party as the contract shows it."""
    return parties_pb2.Party(
        name=party.name,
        uid=str(party.id),
        etag=etag(party.version),
        event_sequence=party.event_sequence,
        legal_name=party.legal_name,
        uscc=party.uscc or "",
        lei=party.lei or "",
        roles=handlers.role_numbers(party.roles),
        create_time=wire.instant(party.create_time),
        update_time=wire.instant(party.update_time),
    )


def user_to_wire(user: User) -> parties_pb2.User:
    """Return a user as the contract shows it, without the password's hash."""
    return parties_pb2.User(
        name=user.name,
        uid=str(user.id),
        etag=etag(user.version),
        party=name("parties", user.party_id),
        login=user.login,
        roles=handlers.role_numbers(user.roles),
        state=wire.enum_number(parties_pb2.UserState, user.state, prefix="USER_STATE_"),
        create_time=wire.instant(user.create_time),
        update_time=wire.instant(user.update_time),
    )


def role_name(role: options_pb2.Role.ValueType) -> str:
    """Return a role's name without its prefix."""
    return wire.enum_name(options_pb2.Role, role, prefix="ROLE_")
