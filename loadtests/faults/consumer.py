"""A service that applies TransfersPosted in its own database: `-m loadtests.faults.consumer`.

Its effects are such that a second one would show: rows without a key, and sums that only grow.
"""

from collections import Counter

import grpc
from ironloop.settlement.v1 import settlement_events_pb2, settlement_pb2
from pydantic_settings import SettingsConfigDict

from services.kit.process import run
from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.kit.settings import ServiceSettings
from services.kit.transaction import Transaction

NAME = "faults"
TABLES = """
    create table effect (number bigint not null, id uuid not null, debit_account bigint not null,
        credit_account bigint not null, amount bigint not null, kind int not null);
    create index effect_number on effect (number);
    create table balance_copy (account bigint primary key, balance bigint not null);
"""
_MOVES_MONEY = frozenset(
    {settlement_pb2.TRANSFER_KIND_POSTED, settlement_pb2.TRANSFER_KIND_POST_PENDING}
)


class ConsumerSettings(ServiceSettings):
    """The kit's settings."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_FAULTS_")


async def assemble(_: Runtime) -> Room:
    """Serve nothing but what the kit serves."""

    def register(_: grpc.aio.Server) -> None: ...

    return Room(register)


async def apply(tx: Transaction, event: settlement_events_pb2.TransfersPosted) -> None:
    """Note each transfer, and move the copies of its accounts' balances."""
    moved: Counter[int] = Counter()
    for row in event.transfers:
        if row.kind in _MOVES_MONEY:
            moved[row.debit_account] -= row.amount_fen
            moved[row.credit_account] += row.amount_fen
    await tx.connection.execute(
        """
        insert into effect (number, id, debit_account, credit_account, amount, kind)
        select $1 + place - 1, id, debit_account, credit_account, amount, kind
        from unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[])
            with ordinality as row (id, debit_account, credit_account, amount, kind, place)
        """,
        event.first_number,
        [row.id for row in event.transfers],
        [row.debit_account for row in event.transfers],
        [row.credit_account for row in event.transfers],
        [row.amount_fen for row in event.transfers],
        [row.kind for row in event.transfers],
    )
    await tx.connection.execute(
        """
        insert into balance_copy (account, balance)
        select * from unnest($1::bigint[], $2::bigint[])
        on conflict (account) do update set balance = balance_copy.balance + excluded.balance
        """,
        list(moved.keys()),
        list(moved.values()),
    )


DEFINITION = ServiceDefinition(
    name=NAME,
    settings=ConsumerSettings,
    proto_services=[],
    assemble=assemble,
    consumes={settlement_events_pb2.TransfersPosted: apply},
)

if __name__ == "__main__":
    run(DEFINITION)
