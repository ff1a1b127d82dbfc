"""The topology is whole, and each service learns what it needs and no more."""

import json
import re
from pathlib import Path

import pytest

from infra.local.credentials import Credentials, load_credentials
from infra.local.environment import Addresses, environment_of
from infra.local.parts import Service
from infra.local.paths import ROOT
from infra.local.topology import TOPOLOGY

NAMES = [service.name for service in TOPOLOGY.services]
ADDRESSES = Addresses(
    postgres_dsn="postgresql://ironloop:super@127.0.0.1:1/postgres",
    kafka_bootstrap="127.0.0.1:2",
    services={name: f"127.0.0.1:{100 + at}" for at, name in enumerate(NAMES)},
    http={name: f"127.0.0.1:{200 + at}" for at, name in enumerate(NAMES)},
)
CALLED = re.compile(r'peers\.stub\(\s*"(\w+)"')


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return load_credentials(tmp_path / "secrets.json", NAMES)


@pytest.mark.parametrize("service", TOPOLOGY.services, ids=lambda service: service.name)
def test_a_service_can_call_whom_its_code_calls(service: Service) -> None:
    sources = (ROOT / "services" / service.name).rglob("*.py")
    texts = [source.read_text() for source in sources]
    called = {name for text in texts for name in CALLED.findall(text)}
    if any("services.kit.postings" in text or "import postings" in text for text in texts):
        called.add("settlement")  # the kit posts for whoever asks
    assert called - {TOPOLOGY.issuer.name} == set(service.calls)


def test_the_topology_has_every_room_with_a_definition_and_no_other() -> None:
    rooms = {path.parent.name for path in (ROOT / "services").glob("*/definition.py")}
    assert rooms == set(NAMES)


def test_only_the_issuer_learns_every_service_s_secret(credentials: Credentials) -> None:
    for service in TOPOLOGY.services:
        environment = environment_of(service, TOPOLOGY, ADDRESSES, credentials)
        values = " ".join(environment.values())
        known = {name for name, secret in credentials.clients.items() if secret in values}
        assert known == (set(NAMES) if service.is_issuer else {service.name})
        assert credentials.postgres not in values
        assert sum(password in values for password in credentials.databases.values()) == 1


def test_a_part_of_the_topology_names_no_peer_that_does_not_run(credentials: Credentials) -> None:
    part = TOPOLOGY.part(["leasing"])
    leasing = part.services[-1]
    environment = environment_of(leasing, part, ADDRESSES, credentials)
    assert json.loads(environment["IRONLOOP_LEASING_PEERS"]).keys() == {"parties"}


def test_a_setting_of_the_shell_does_not_reach_the_services(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRONLOOP_PARTIES_JWKS_URL", "http://elsewhere/")
    environment = environment_of(TOPOLOGY.issuer, TOPOLOGY, ADDRESSES, credentials)
    assert "IRONLOOP_PARTIES_JWKS_URL" not in environment


def test_secrets_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    first = load_credentials(path, ["parties"])
    assert path.stat().st_mode & 0o777 == 0o600
    wider = load_credentials(path, ["parties", "leasing"])
    assert wider.postgres == first.postgres
    assert wider.clients["parties"] == first.clients["parties"]
    assert load_credentials(path, ["leasing"]).clients["leasing"] == wider.clients["leasing"]
    assert load_credentials(path, ["parties"]).clients == first.clients
