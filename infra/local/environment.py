"""What each service of the stack finds in its environment."""

import json
import os
from dataclasses import dataclass

from infra.local.credentials import Credentials
from infra.local.databases import dsn_of, role_of
from infra.local.parts import Service, Topology

DRAIN_S = 5  # nobody waits longer for `make down`


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts of a stack are.

    Attributes:
        postgres_dsn: The superuser's.
        kafka_bootstrap: host:port of the broker.
        services: host:port of each service's gRPC server.
        http: host:port of each service's /metrics and documents.
    """

    postgres_dsn: str
    kafka_bootstrap: str
    services: dict[str, str]
    http: dict[str, str]


def database_of(service: str) -> str:
    """Return the name of a service's database."""
    return f"ironloop_{service}"


def environment_of(
    service: Service, topology: Topology, addresses: Addresses, credentials: Credentials
) -> dict[str, str]:
    """Return the whole environment of a service's process."""
    settings = _settings_of(service, topology, addresses, credentials)
    prefix = f"IRONLOOP_{service.name.upper()}_"
    return _inherited() | {f"{prefix}{name.upper()}": value for name, value in settings.items()}


def _settings_of(
    service: Service, topology: Topology, addresses: Addresses, credentials: Credentials
) -> dict[str, str]:
    name, issuer = service.name, topology.issuer.name
    settings = {
        "environment": "local",
        "listen": addresses.services[name],
        "metrics_listen": addresses.http[name],
        "postgres_dsn": dsn_of(
            addresses.postgres_dsn,
            database=database_of(name),
            user=role_of(name),
            password=credentials.databases[name],
        ),
        "kafka_bootstrap": addresses.kafka_bootstrap,
        "client_secret": credentials.clients[name],
        "page_token_key": credentials.page_tokens,
        "peers": json.dumps({to: addresses.services[to] for to in _peers_of(service, topology)}),
        "drain_s": str(DRAIN_S),
    }
    if service.is_issuer:
        settings["service_secrets"] = json.dumps(credentials.clients)
        settings["operator_password"] = credentials.operator
    else:
        settings["jwks_url"] = f"http://{addresses.http[issuer]}/.well-known/jwks.json"
    return settings | dict(service.settings)


def _peers_of(service: Service, topology: Topology) -> list[str]:
    """Return whom a service may call; in a part of a topology only those that run."""
    running = {other.name for other in topology.services}
    return sorted({topology.issuer.name, *service.calls} & running)


def _inherited() -> dict[str, str]:
    """Return this process's own environment without settings, but for the stack's folder."""
    kept = {"IRONLOOP_STATE"}
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith("IRONLOOP_")
    }
