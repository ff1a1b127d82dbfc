"""What a topology is made of, as data."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Postgres:
    """The one PostgreSQL server; each service has a database and a role of its own in it.

    Attributes:
        settings: Server settings that differ from those of `infra.local.postgres`.
    """

    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kafka:
    """The one broker.

    Attributes:
        heap: The Java option that bounds its heap.
        partitions: Of each topic that is made.
    """

    heap: str
    partitions: int


@dataclass(frozen=True, slots=True)
class Service:
    """One process, `python -m services.<name>`.

    Attributes:
        calls: The services that it calls, beside parties for its own tokens.
        is_issuer: Whether it issues the stack's tokens and knows every service's secret.
        settings: Settings that make it different, by their name in lower case.
    """

    name: str
    calls: tuple[str, ...] = ()
    is_issuer: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that runs, in the order in which it is started."""

    postgres: Postgres
    kafka: Kafka
    services: tuple[Service, ...]

    @property
    def issuer(self) -> Service:
        """Return the service that issues tokens."""
        return next(service for service in self.services if service.is_issuer)

    def part(self, names: Collection[str]) -> "Topology":
        """Return the same with the named services alone, the issuer always among them."""
        wanted = {self.issuer.name, *names}
        services = tuple(service for service in self.services if service.name in wanted)
        return Topology(self.postgres, self.kafka, services)
