"""The marketplace as it runs in the stack, with a lot under the hammer and bidders signed in."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import grpc
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from infra.bench.lab import PASSWORD, Lab, open_lab
from infra.local.client import AuthorisedChannel
from infra.local.databases import ensure_database, ensure_role
from infra.local.kafka import create_topics
from infra.local.processes import free_port
from services.kit.clock import BusinessClock
from services.kit.contract import dead_letter_topic, event_of
from services.kit.ids import new_id
from services.marketplace.definition import DEFINITION
from services.parties.model import uscc_of

SERVICE = "marketplace"
BIDDERS = 8
OPEN_FOR = timedelta(days=20)  # so long that no bid is a late one
READY_WITHIN_S = 60.0

# A machine, its listing on offer and an auction that is open, as the service would have left them.
_LOT = """
    with one_machine as (
        insert into machine (id, id_scheme, check_status, serial_number, make, model,
            equipment_class, title_holder, title_since, lifecycle, custody, custodian,
            reservation_reference, reservation_party, create_time, update_time)
        values ($1, 'OEM_LEGACY', 'UNCHECKED', $1::uuid::text, 'SANY', 'SY215C',
            'HYDRAULIC_EXCAVATOR', 'parties/seller', $4, 'IN_SERVICE', 'RESERVED', 'parties/seller',
            'auctions/' || $3::uuid::text, 'parties/seller', $4, $4)),
    one_listing as (
        insert into listing (id, state, machine_id, seller, format, ask_fen, price_override_reason,
            region, description, photos, title_proofs, make, model, equipment_class, build_year,
            search_terms, publish_time, expire_time, create_time, update_time)
        values ($2, 'PUBLISHED', $1, 'parties/seller', 'TIMED_AUCTION', 1, '', 'Hunan', '', '[]',
            '[]', 'SANY', 'SY215C', 'HYDRAULIC_EXCAVATOR', 2021, '{}', $4, $5, $4, $4))
    insert into auction (id, version, event_sequence, state, listing_id, machine_id, seller,
        disposal, open_time, close_time, scheduled_close_time, deposit_fen, policy_version,
        bid_sequence, accepted_bids, high_fen, high_bidder, extensions, order_name, is_settled,
        unsold_count, create_time, update_time)
    values ($3, 1, 1, 'OPEN', $2, $1, 'parties/seller', '', $4, $5, $5, 0, 1, 0, 0, 0, '', 0, '',
        false, 0, $4, $4)
"""


@dataclass(slots=True)
class BidsLab:
    """What is measured.

    Attributes:
        tokens: Of the bidders.
    """

    lab: Lab
    tokens: list[str] = field(default_factory=list)

    async def new_lot(self) -> str:
        """Put a new lot under the hammer and return its auction's name."""
        machine, listing, auction = new_id(), new_id(), new_id()
        now = BusinessClock().now()
        owner = await asyncpg.connect(self.lab.owner_dsn(SERVICE))
        try:
            await owner.execute(_LOT, machine, listing, auction, now, now + OPEN_FOR)
        finally:
            await owner.close()
        return f"auctions/{auction}"

    async def bids_of(self, auction: str) -> tuple[int, int, int]:
        """Return how many bids of a lot were decided, how many accepted, and the last sequence."""
        owner = await asyncpg.connect(self.lab.owner_dsn(SERVICE))
        try:
            row = await owner.fetchrow(
                """
                select count(*) as decided, count(*) filter (where state = 'ACCEPTED') as accepted,
                    coalesce(max(sequence), 0) as last
                from bid where auction_id = $1
                """,
                UUID(auction.removeprefix("auctions/")),
            )
        finally:
            await owner.close()
        assert row is not None
        return row["decided"], row["accepted"], row["last"]


@asynccontextmanager
async def open_bids_lab() -> AsyncIterator[BidsLab]:
    """Hold a lab open."""
    async with open_lab() as lab:
        opened = BidsLab(lab)
        await ensure_role(lab.server_dsn, SERVICE, password=PASSWORD)
        await ensure_database(lab.server_dsn, SERVICE, database=SERVICE)
        topics = {event_of(event.DESCRIPTOR).topic for event in DEFINITION.produces}
        names = [name for topic in topics for name in (topic, dead_letter_topic(topic))]
        await asyncio.to_thread(create_topics, lab.bootstrap, names)
        await _serve(lab)
        opened.tokens = [await _bidder(lab) for _ in range(BIDDERS)]
        yield opened


async def _serve(lab: Lab) -> None:
    """Start the service as the stack starts it, relay and broker included."""
    lab.ports[SERVICE] = free_port()
    lab.run(
        SERVICE,
        "services.marketplace",
        environment="local",
        page_token_key="k" * 32,
        kafka_bootstrap=lab.bootstrap,
        listen=f"127.0.0.1:{lab.ports[SERVICE]}",
        postgres_dsn=lab.dsn(SERVICE),
        jwks_url=f"http://127.0.0.1:{lab.http_port}/.well-known/jwks.json",
        peers=json.dumps({}),
        traces=str(lab.folder / "marketplace.spans"),
        drain_s="1",
    )
    async with lab.channel(SERVICE) as channel, asyncio.timeout(READY_WITHIN_S):
        await channel.channel_ready()


async def _bidder(lab: Lab) -> str:
    """Register a party that bids, and return its user's token."""
    roles = [options_pb2.ROLE_BUYER]
    async with lab.channel("parties") as channel:
        authorised: Any = AuthorisedChannel(channel, lab.token)
        parties: parties_pb2_grpc.PartiesServiceAsyncStub
        parties = parties_pb2_grpc.PartiesServiceStub(authorised)
        party = await parties.CreateParty(
            parties_pb2.CreatePartyRequest(
                request_id=str(new_id()),
                legal_name="A bidder of the bench",
                uscc=uscc_of(f"91{secrets.randbelow(10**15):015}"),
                roles=roles,
            )
        )
        login, password = f"bidder-{party.uid}", secrets.token_urlsafe(18)
        await parties.CreateUser(
            parties_pb2.CreateUserRequest(
                request_id=str(new_id()),
                party=party.name,
                login=login,
                password=password,
                roles=roles,
            )
        )
        answer = await _public(channel).IssueToken(
            parties_pb2.IssueTokenRequest(
                user=parties_pb2.UserCredentials(login=login, password=password)
            )
        )
    return answer.token


def _public(channel: grpc.aio.Channel) -> "parties_pb2_grpc.PartiesServiceAsyncStub":
    return parties_pb2_grpc.PartiesServiceStub(channel)
