"""Who makes the present call, and what the contract lets them do."""

from contextvars import ContextVar
from dataclasses import dataclass

from ironloop.options.v1 import options_pb2

from services.kit.errors import PermissionDenied

Role = options_pb2.Role

# Roles that read every party's rows; what they may change is still said per rpc.
SEES_ALL = frozenset(
    {
        options_pb2.ROLE_SERVICE,
        options_pb2.ROLE_AUDITOR,
        options_pb2.ROLE_ADMIN,
        options_pb2.ROLE_OPERATOR,
    }
)


@dataclass(frozen=True, slots=True)
class Principal:
    """A user or service whose token was verified.

    Attributes:
        subject: "users/<uuid>" or "services/<name>".
        party: "parties/<uuid>" for a user, empty for a service.
        roles: The roles that the token carries.
        on_behalf_of: The user for whom a service acts, or empty.
    """

    subject: str
    party: str
    roles: frozenset[Role.ValueType]
    on_behalf_of: str = ""

    @property
    def sees_all(self) -> bool:
        """Whether row-level rules let this principal read every party's rows."""
        return not self.roles.isdisjoint(SEES_ALL)

    @property
    def actor(self) -> str:
        """The user behind the call where there is one, else the caller itself."""
        return self.on_behalf_of or self.subject

    def holds(self, role: Role.ValueType) -> bool:
        """Whether the token carries `role`."""
        return role in self.roles

    def require_party(self) -> str:
        """Return the party for which the caller acts.

        Raises:
            PermissionDenied: The caller acts for no party.
        """
        if not self.party:
            raise PermissionDenied(f"{self.subject} acts for no party", subject=self.subject)
        return self.party


def service_principal(service: str) -> Principal:
    """Return the principal of a service that acts for itself: timers, consumers, sagas."""
    return Principal(f"services/{service}", "", frozenset({options_pb2.ROLE_SERVICE}))


_PRINCIPAL: ContextVar[Principal] = ContextVar("principal")
_METHOD: ContextVar[str] = ContextVar("method")


def principal() -> Principal:
    """Return the principal of the present call or background task."""
    return _PRINCIPAL.get()


def method() -> str:
    """Return the full name of the rpc under way, "/package.Service/Method"."""
    return _METHOD.get()


def enter(caller: Principal, rpc_method: str) -> None:
    """Make `caller` and `rpc_method` those of the present task."""
    _PRINCIPAL.set(caller)
    _METHOD.set(rpc_method)
