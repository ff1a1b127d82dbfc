"""The contract of pools and quotes: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.procurement.v1 import pools_pb2, pools_pb2_grpc

from services.kit import wire
from services.kit.amounts import yuan
from services.kit.errors import InvalidArgument
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.procurement import pool_handlers, pool_store, quote_handlers, quote_store
from services.procurement.order_wire import address_from_wire
from services.procurement.pool_model import UNIT_PRICE_FEN_MAX, QuoteTerms
from services.procurement.pool_wire import (
    membership_to_wire,
    pool_to_wire,
    quote_to_wire,
    specification_from_wire,
    tier_from_wire,
)


class PoolRpc(pools_pb2_grpc.PoolServiceServicer):
    """Serves ironloop.procurement.v1.PoolService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def CreatePool(
        self, request: pools_pb2.CreatePoolRequest, context: Any
    ) -> pools_pb2.Pool:
        """Open a pool."""

        async def work(tx: Transaction) -> pools_pb2.Pool:
            return pool_to_wire(
                await pool_handlers.create_pool(
                    tx,
                    specification=specification_from_wire(request.specification),
                    region=request.region,
                    minimum_quantity=request.minimum_quantity,
                    target_quantity=request.target_quantity,
                    join_until=wire.to_date(request.join_until, field="join_until"),
                    quote_until=(
                        wire.to_date(request.quote_until, field="quote_until")
                        if request.HasField("quote_until")
                        else None
                    ),
                )
            )

        return await self._commands.run(request, work)

    async def GetPool(self, request: pools_pb2.GetPoolRequest, context: Any) -> pools_pb2.Pool:
        """Return a pool that the caller may see."""
        return pool_to_wire(
            await pool_handlers.get_pool(
                self._database, parse_name(request.name, "demandPools"), viewer=principal()
            )
        )

    async def ListPools(
        self, request: pools_pb2.ListPoolsRequest, context: Any
    ) -> pools_pb2.ListPoolsResponse:
        """List the pools that the caller may see, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await pool_store.list_pools(
                connection,
                viewer=principal(),
                state=(
                    wire.enum_name(pools_pb2.PoolState, request.state, prefix="POOL_STATE_")
                    if request.state
                    else None
                ),
                after=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda pool: (pool.id,))
        return pools_pb2.ListPoolsResponse(
            pools=[pool_to_wire(pool) for pool in kept], next_page_token=token
        )

    async def JoinPool(
        self, request: pools_pb2.JoinPoolRequest, context: Any
    ) -> pools_pb2.Membership:
        """Join a pool."""

        async def work(tx: Transaction) -> pools_pb2.Membership:
            return membership_to_wire(
                await pool_handlers.join(
                    tx,
                    parse_name(request.pool, "demandPools", field="pool"),
                    quantity=request.quantity,
                    address=address_from_wire(request.delivery_address),
                )
            )

        return await self._commands.run(request, work)

    async def LeavePool(
        self, request: pools_pb2.LeavePoolRequest, context: Any
    ) -> pools_pb2.Membership:
        """Leave a pool."""

        async def work(tx: Transaction) -> pools_pb2.Membership:
            pool_id = parse_name(request.pool, "demandPools", field="pool")
            return membership_to_wire(await pool_handlers.leave(tx, pool_id))

        return await self._commands.run(request, work)

    async def ListMemberships(
        self, request: pools_pb2.ListMembershipsRequest, context: Any
    ) -> pools_pb2.ListMembershipsResponse:
        """List the memberships of a pool that the caller may see."""
        page = self._pages.open(request)
        pool = await pool_handlers.get_pool(
            self._database,
            parse_name(request.pool, "demandPools", field="pool"),
            viewer=principal(),
        )
        async with self._database.read() as connection:
            rows = await pool_store.list_memberships(
                connection, pool, viewer=principal(), after=page.after, limit=page.limit + 1
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.join_time, row.id))
        return pools_pb2.ListMembershipsResponse(
            memberships=[membership_to_wire(membership) for membership in kept],
            next_page_token=token,
        )

    async def LockPool(self, request: pools_pb2.LockPoolRequest, context: Any) -> pools_pb2.Pool:
        """Make a pool's quantity final."""

        async def work(tx: Transaction) -> pools_pb2.Pool:
            pool_id = parse_name(request.name, "demandPools")
            return pool_to_wire(
                await pool_handlers.lock_by_organiser(tx, pool_id, etag=request.etag)
            )

        return await self._commands.run(request, work)

    async def QuotePool(self, request: pools_pb2.QuotePoolRequest, context: Any) -> pools_pb2.Quote:
        """Offer machines to a pool."""

        async def begin(tx: Transaction) -> Saga:
            return await quote_handlers.begin_quote(
                tx,
                parse_name(request.pool, "demandPools", field="pool"),
                QuoteTerms(
                    unit_price_fen=_machine_cost(request, "unit_price", positive=True),
                    tiers=tuple(
                        tier_from_wire(tier, field=f"tiers[{index}].discount_rate")
                        for index, tier in enumerate(request.tiers)
                    ),
                    transport_fen=_machine_cost(request, "transport"),
                    other_fen=_machine_cost(request, "other"),
                    machines=tuple(request.machines),
                    valid_until=wire.to_date(request.valid_until, field="valid_until"),
                ),
            )

        quote: pools_pb2.Quote = await self._commands.run_saga(request, begin)
        return quote

    async def WithdrawQuote(
        self, request: pools_pb2.WithdrawQuoteRequest, context: Any
    ) -> pools_pb2.Quote:
        """Take a quote back."""

        async def work(tx: Transaction) -> pools_pb2.Quote:
            quote_id = parse_name(request.name, "quotes")
            return quote_to_wire(await quote_handlers.withdraw(tx, quote_id, etag=request.etag))

        return await self._commands.run(request, work)

    async def GetQuote(self, request: pools_pb2.GetQuoteRequest, context: Any) -> pools_pb2.Quote:
        """Return a quote that the caller may see."""
        return quote_to_wire(
            await quote_handlers.get_quote(
                self._database, parse_name(request.name, "quotes"), viewer=principal()
            )
        )

    async def ListQuotes(
        self, request: pools_pb2.ListQuotesRequest, context: Any
    ) -> pools_pb2.ListQuotesResponse:
        """List the quotes of a pool that the caller may see."""
        page = self._pages.open(request)
        pool = await pool_handlers.get_pool(
            self._database,
            parse_name(request.pool, "demandPools", field="pool"),
            viewer=principal(),
        )
        async with self._database.read() as connection:
            rows = await quote_store.list_quotes(
                connection, pool.id, viewer=principal(), after=page.after, limit=page.limit + 1
            )
        kept, token = self._pages.cut(
            request, page, rows, key=lambda quote: (quote.create_time, quote.id)
        )
        return pools_pb2.ListQuotesResponse(
            quotes=[quote_to_wire(quote) for quote in kept], next_page_token=token
        )

    async def AwardPool(self, request: pools_pb2.AwardPoolRequest, context: Any) -> pools_pb2.Pool:
        """Award a pool."""

        async def begin(tx: Transaction) -> Saga:
            pool_id = parse_name(request.name, "demandPools")
            return await quote_handlers.begin_award(tx, pool_id, etag=request.etag)

        pool: pools_pb2.Pool = await self._commands.run_saga(request, begin)
        return pool


def _machine_cost(
    request: pools_pb2.QuotePoolRequest, field: str, *, positive: bool = False
) -> int:
    """Return a part of the landed cost of one machine in fen; absent is zero."""
    if not request.HasField(field):  # type: ignore[arg-type]  # one of three names
        return 0
    amount_fen = wire.fen(getattr(request, field), field=field, positive=positive)
    if amount_fen > UNIT_PRICE_FEN_MAX:
        raise InvalidArgument(field, f"must not exceed {yuan(UNIT_PRICE_FEN_MAX)}")
    return amount_fen
