"""The contract of lease programmes: protobuf to arguments and back, nothing else."""

from decimal import Decimal
from typing import Any

from ironloop.common.v1 import common_pb2
from ironloop.leasing.v1 import programmes_pb2, programmes_pb2_grpc

from services.finmath.day_count import DayCount
from services.kit import wire
from services.kit.errors import NotFound
from services.kit.etags import etag
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.leasing import programme_handlers, programme_store
from services.leasing.arguments import rate, share
from services.leasing.messages import day_count_to_wire, timing_to_wire
from services.leasing.programme_model import Programme, ProgrammeTerms

PENALTY_DAILY_RATE_MAX = Decimal("0.01")  # a hundred days double what is overdue


class ProgrammeRpc(programmes_pb2_grpc.ProgrammeServiceServicer):
    """Serves ironloop.leasing.v1.ProgrammeService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def CreateLeaseProgramme(
        self, request: programmes_pb2.CreateLeaseProgrammeRequest, context: Any
    ) -> programmes_pb2.LeaseProgramme:
        """Publish a programme of the caller's party."""

        async def work(tx: Transaction) -> programmes_pb2.LeaseProgramme:
            return programme_to_wire(
                await programme_handlers.create_programme(
                    tx, lessor=principal().require_party(), terms=terms_of(request.terms)
                )
            )

        return await self._commands.run(request, work)

    async def UpdateLeaseProgramme(
        self, request: programmes_pb2.UpdateLeaseProgrammeRequest, context: Any
    ) -> programmes_pb2.LeaseProgramme:
        """Publish the next revision of a programme."""

        async def work(tx: Transaction) -> programmes_pb2.LeaseProgramme:
            return programme_to_wire(
                await programme_handlers.update_programme(
                    tx,
                    parse_name(request.name, "leaseProgrammes"),
                    lessor=principal().require_party(),
                    etag=request.etag,
                    terms=terms_of(request.terms),
                )
            )

        return await self._commands.run(request, work)

    async def RetireLeaseProgramme(
        self, request: programmes_pb2.RetireLeaseProgrammeRequest, context: Any
    ) -> programmes_pb2.LeaseProgramme:
        """Retire a programme."""

        async def work(tx: Transaction) -> programmes_pb2.LeaseProgramme:
            return programme_to_wire(
                await programme_handlers.retire_programme(
                    tx,
                    parse_name(request.name, "leaseProgrammes"),
                    lessor=principal().require_party(),
                    etag=request.etag,
                )
            )

        return await self._commands.run(request, work)

    async def GetLeaseProgramme(
        self, request: programmes_pb2.GetLeaseProgrammeRequest, context: Any
    ) -> programmes_pb2.LeaseProgramme:
        """Return a programme at a revision."""
        programme_id = parse_name(request.name, "leaseProgrammes")
        async with self._database.read() as connection:
            programme = await programme_store.find_programme(
                connection, programme_id, viewer=principal(), revision=request.revision
            )
        if programme is None:
            raise NotFound(request.name)
        return programme_to_wire(programme)

    async def ListLeaseProgrammes(
        self, request: programmes_pb2.ListLeaseProgrammesRequest, context: Any
    ) -> programmes_pb2.ListLeaseProgrammesResponse:
        """List programmes, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await programme_store.list_programmes(
                connection,
                viewer=principal(),
                lessor=request.lessor,
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(
            request, page, rows, key=lambda programme: (programme.create_time, programme.id)
        )
        return programmes_pb2.ListLeaseProgrammesResponse(
            programmes=[programme_to_wire(programme) for programme in kept], next_page_token=token
        )


def terms_of(message: programmes_pb2.ProgrammeTerms) -> ProgrammeTerms:
    """Return what a request offers.

    Raises:
        InvalidArgument: A rate, an amount or a limit lies outside its range; names the field.
    """
    return ProgrammeTerms(
        title=message.title,
        nominal_rate=rate(message.nominal_rate, field="terms.nominal_rate"),
        fee_rate=share(message.fee_rate, field="terms.fee_rate"),
        deposit_rate=share(message.deposit_rate, field="terms.deposit_rate"),
        in_advance=message.payment_timing == programmes_pb2.PAYMENT_TIMING_ADVANCE,
        day_count=DayCount(
            wire.enum_name(common_pb2.DayCount, message.day_count, prefix="DAY_COUNT_")
        ),
        term_months_min=message.term_months_min,
        term_months_max=message.term_months_max,
        residual_rate_min=share(message.residual_rate_min, field="terms.residual_rate_min"),
        residual_rate_max=share(message.residual_rate_max, field="terms.residual_rate_max"),
        amount_min_fen=wire.fen(message.amount_min, field="terms.amount_min", positive=True),
        amount_max_fen=wire.fen(message.amount_max, field="terms.amount_max", positive=True),
        hours_per_year=message.hours_per_year,
        excess_hour_rate_fen=wire.fen(message.excess_hour_rate, field="terms.excess_hour_rate"),
        buyout_fee_rate=share(message.buyout_fee_rate, field="terms.buyout_fee_rate"),
        penalty_daily_rate=share(
            message.penalty_daily_rate,
            field="terms.penalty_daily_rate",
            high=PENALTY_DAILY_RATE_MAX,
        ),
        penalty_cap_rate=share(message.penalty_cap_rate, field="terms.penalty_cap_rate"),
        extension_months_max=message.extension_months_max,
        extension_residual_rate=share(
            message.extension_residual_rate, field="terms.extension_residual_rate"
        ),
        initial_direct_cost_fen=wire.fen(
            message.initial_direct_cost, field="terms.initial_direct_cost"
        ),
        economic_life_months=message.economic_life_months,
    )


def programme_to_wire(programme: Programme) -> programmes_pb2.LeaseProgramme:
    """Return a programme as the contract shows it."""
    terms = programme.terms
    return programmes_pb2.LeaseProgramme(
        name=programme.name,
        uid=str(programme.id),
        etag=etag(programme.version),
        event_sequence=programme.event_sequence,
        state=wire.enum_number(
            programmes_pb2.ProgrammeState, programme.state, prefix="PROGRAMME_STATE_"
        ),
        revision=programme.revision,
        lessor=programme.lessor,
        terms=programmes_pb2.ProgrammeTerms(
            title=terms.title,
            nominal_rate=wire.decimal(terms.nominal_rate),
            fee_rate=wire.decimal(terms.fee_rate),
            deposit_rate=wire.decimal(terms.deposit_rate),
            payment_timing=timing_to_wire(in_advance=terms.in_advance),
            day_count=day_count_to_wire(terms.day_count),
            term_months_min=terms.term_months_min,
            term_months_max=terms.term_months_max,
            residual_rate_min=wire.decimal(terms.residual_rate_min),
            residual_rate_max=wire.decimal(terms.residual_rate_max),
            amount_min=wire.money(terms.amount_min_fen),
            amount_max=wire.money(terms.amount_max_fen),
            hours_per_year=terms.hours_per_year,
            excess_hour_rate=wire.money(terms.excess_hour_rate_fen),
            buyout_fee_rate=wire.decimal(terms.buyout_fee_rate),
            penalty_daily_rate=wire.decimal(terms.penalty_daily_rate),
            penalty_cap_rate=wire.decimal(terms.penalty_cap_rate),
            extension_months_max=terms.extension_months_max,
            extension_residual_rate=wire.decimal(terms.extension_residual_rate),
            initial_direct_cost=wire.money(terms.initial_direct_cost_fen),
            economic_life_months=terms.economic_life_months,
        ),
        create_time=wire.instant(programme.create_time),
        update_time=wire.instant(programme.update_time),
    )
