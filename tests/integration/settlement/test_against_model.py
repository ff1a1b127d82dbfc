"""PostgreSQL comes to what the model says, batch by batch, through crashes and retries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit.ids import fact_id, new_id
from services.kit.principals import enter, service_principal
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.settlement import hold_store, posting, posting_alone, store
from services.settlement import posting_store as kept
from services.settlement.account import NUMBERS_PER_LEDGER, Account, ledger_of
from services.settlement.ledger_state import HoldState, State, chains
from services.settlement.memory import Memory
from services.settlement.model import apply, expire
from services.settlement.transfer import Outcome, Transfer
from tests.integration.settlement.conftest import LedgerDatabase
from tests.unit.settlement.batches import (
    LEDGER,
    NOW,
    POOL,
    WINDOW,
    batches,
    first_state,
    identifier,
)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("post"), batches()),
        st.tuples(st.just("post alone"), batches()),
        st.tuples(st.just("crash"), batches()),
        st.tuples(st.just("retry"), st.just([])),
        st.tuples(st.just("expire"), st.just([])),
    ),
    min_size=1,
    max_size=6,
)


class Crash(Exception):
    """Ends a transaction before its commit."""


@dataclass(slots=True)
class Universe:
    """The accounts of `first_state` in two ledgers of their own, and ids nobody else uses."""

    ledgers: tuple[int, int]
    salt: UUID

    def number(self, given: int) -> int:
        ledger = ledger_of(given)
        if ledger not in (1, 2):
            return given
        return self.ledgers[ledger - 1] * NUMBERS_PER_LEDGER + given % NUMBERS_PER_LEDGER

    def id(self, given: UUID) -> UUID:
        return self._ids().get(given, given)

    def transfer(self, row: Transfer) -> Transfer:
        purpose = row.purpose
        for mine, theirs in self._ids().items():
            purpose = purpose.replace(str(mine), str(theirs))
        return row._replace(
            id=self.id(row.id),
            txn=self.id(row.txn),
            pending_id=None if row.pending_id is None else self.id(row.pending_id),
            debit_account=self.number(row.debit_account),
            credit_account=self.number(row.credit_account),
            purpose=purpose,
        )

    def state(self) -> State:
        state = first_state()
        accounts = [
            account._replace(id=self.number(account.id), flags=int(account.flags))
            for account in state.accounts.values()
        ]
        return replace(
            state,
            ledger=self.ledgers[LEDGER - 1],
            ledgers=frozenset(self.ledgers),
            accounts={account.id: account for account in accounts},
        )

    def _ids(self) -> dict[UUID, UUID]:
        return {
            identifier(place): fact_id(NOW, str(self.salt), str(place)) for place in range(POOL)
        }


async def make_universe(ledger: LedgerDatabase) -> Universe:
    """Open two ledgers, and in the first the universe's accounts with what they hold."""

    async def make(tx: Transaction) -> Universe:
        opened = []
        for _ in range(2):
            ledger = await store.insert_ledger(
                tx.connection, book=f"b-{new_id()}", currency_code="CNY", at=tx.now
            )
            assert ledger is not None
            opened.append(ledger)
        universe = Universe((opened[0].id, opened[1].id), new_id())
        for account in universe.state().accounts.values():
            await tx.connection.execute(
                """
                insert into account (id, ledger, code, flags, owner, reference, debits_pending,
                    credits_pending, debits_posted, credits_posted, create_time, update_time)
                values ($1, $2, 1010, $3, uuidv7(), '', $4, $5, $6, $7, $8, $8)
                """,
                account.id,
                universe.ledgers[0],
                *account[1:],
                tx.now,
            )
        return universe

    return await ledger.database.run(make)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps)
async def test_the_database_comes_to_what_the_model_says(
    ledger: LedgerDatabase, story: list[tuple[str, list[Transfer]]]
) -> None:
    enter(service_principal("settlement"), "test")
    ledger.clock.at = NOW
    universe = await make_universe(ledger)
    state = universe.state()
    ledgers = state.ledgers
    last: list[Transfer] = []
    memory = Memory()
    for second, (step, drawn) in enumerate(story):
        at = ledger.clock.at = NOW + timedelta(seconds=second)
        if step == "expire":
            state = await expire_both(ledger, state)
            continue
        batch = last if step == "retry" else [universe.transfer(row) for row in drawn]
        if not batch:
            continue

        async def work(
            tx: Transaction,
            step: str = step,
            batch: list[Transfer] = batch,
            number: int = state.ledger,
        ) -> Sequence[Outcome]:
            made = await posting.post(tx, number, chains(batch), ledgers=ledgers)
            if step == "crash":
                raise Crash
            return made

        if step == "crash":
            with pytest.raises(Crash):
                await ledger.database.run(work)
            continue
        number = state.ledger
        state, expected = apply(state, chains(batch), at=at, window=WINDOW)
        if step == "post alone":
            outcomes = await posting_alone.post_alone(
                ledger.database, number, chains(batch), ledgers=ledgers, memory=memory
            )
        else:
            outcomes = await ledger.database.run(work)
        assert outcomes == expected
        last = batch
    await assert_holds(ledger, state)


async def expire_both(ledger: LedgerDatabase, state: State) -> State:
    """Let the timer fire in the database and in the model."""
    at = ledger.clock.at
    timer = Timer(posting.EXPIRY_TIMER, "", at, {"ledger": state.ledger})
    await ledger.database.run(lambda tx: posting.expire_holds(tx, timer))
    over = sorted(
        (
            hold
            for hold in state.holds.values()
            if hold.state is HoldState.OPEN
            and hold.expires_at is not None
            and hold.expires_at <= at
        ),
        key=lambda hold: (hold.expires_at, hold.pending_id),
    )
    rows = [posting.expiry_of(hold, state.posted[hold.pending_id].transfer) for hold in over]
    after, _ = expire(state, rows, at=at)
    return after


async def assert_holds(ledger: LedgerDatabase, state: State) -> None:
    """Assert that the ledger's tables hold what the model's state does."""
    async with ledger.database.read() as connection:
        rows = await connection.fetch(
            """
            select id, flags, debits_pending, credits_pending, debits_posted, credits_posted
            from account where ledger = $1
            """,
            state.ledger,
        )
        assert {row["id"]: Account(*row) for row in rows} == dict(state.accounts)
        assert await kept.find_transfers(connection, list(state.posted)) == dict(state.posted)
        assert await kept.find_refusals(connection, list(state.refused)) == dict(state.refused)
        assert await hold_store.find_holds(connection, list(state.holds)) == dict(state.holds)
        assert await kept.find_reversals(connection, list(state.reversals)) == dict(state.reversals)
        counts = await connection.fetchrow(
            """
            select (select count(*) from transfer where ledger = $1) as transfers,
                (select count(*) from rejection where ledger = $1) as refusals,
                (select count(*) from hold where ledger = $1) as holds,
                (select transfer_count from ledger where id = $1) as counted,
                (select coalesce(sum(transfer_count), 0) from ledger_commit where ledger = $1)
                    as committed
            """,
            state.ledger,
        )
    assert counts is not None
    assert tuple(counts) == (
        len(state.posted),
        len(state.refused),
        len(state.holds),
        state.last_number,
        state.last_number,
    )
