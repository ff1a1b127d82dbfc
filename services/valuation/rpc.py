"""The contract of valuation: protobuf to arguments and back, nothing else."""

from dataclasses import replace
from typing import Any, TypeAlias

from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from services.kit import wire
from services.kit.errors import DomainError, NotFound
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.valuation import handlers, messages, model_store, past_handlers, store
from services.valuation.drift_rpc import DriftRpc
from services.valuation.input_rules import check_inputs
from services.valuation.insight_rpc import InsightRpc
from services.valuation.insights import Insights
from services.valuation.machine_facts import facts_used, with_known
from services.valuation.model import Decision, Valuation
from services.valuation.nowcasts import Nowcasts
from services.valuation.registry import Registry

CURVE_STEP_MONTHS = 3
CURRENT = "current"

_Decided: TypeAlias = (
    valuation_pb2.ApproveValuationRequest
    | valuation_pb2.RejectValuationRequest
    | valuation_pb2.RevokeValuationRequest
)


class ValuationRpc(InsightRpc, DriftRpc, valuation_pb2_grpc.ValuationServiceServicer):
    """Serves ironloop.valuation.v1.ValuationService."""

    def __init__(
        self, runtime: Runtime, registry: Registry, insights: Insights, nowcasts: Nowcasts
    ) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages
        self._registry = registry
        self._insights = insights
        self._nowcasts = nowcasts

    async def CreateValuation(
        self, request: valuation_pb2.CreateValuationRequest, context: Any
    ) -> valuation_pb2.Valuation:
        """Value a machine.

        The registry is asked and the values are computed before the transaction; a retry for a
        registered machine finds the stored answer and asks nobody.
        """
        if request.machine:
            stored: valuation_pb2.Valuation | None = await self._commands.find_answer(request)
            if stored is not None:
                return stored
        computed: handlers.Computed | DomainError
        try:
            computed = await self._compute(request)
        except DomainError as refusal:
            if not refusal.is_definite:
                raise
            computed = refusal

        async def work(tx: Transaction) -> valuation_pb2.Valuation:
            if isinstance(computed, DomainError):
                raise computed
            created = await handlers.create_valuation(tx, self._registry, computed)
            return messages.valuation_to_wire(created, computed.recorded)

        return await self._commands.run(request, work)

    async def GetValuation(
        self, request: valuation_pb2.GetValuationRequest, context: Any
    ) -> valuation_pb2.Valuation:
        """Return a valuation."""
        return messages.valuation_to_wire(await self._get(request.name))

    async def ListValuations(
        self, request: valuation_pb2.ListValuationsRequest, context: Any
    ) -> valuation_pb2.ListValuationsResponse:
        """List valuations, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await store.list_valuations(
                connection,
                viewer=principal(),
                machine=request.machine or None,
                state=(
                    wire.enum_name(
                        valuation_pb2.ValuationState, request.state, prefix="VALUATION_STATE_"
                    )
                    if request.state
                    else None
                ),
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(
            request, page, rows, key=lambda row: (row.create_time, row.id)
        )
        return valuation_pb2.ListValuationsResponse(
            valuations=[messages.valuation_to_wire(row) for row in kept], next_page_token=token
        )

    async def GetCurve(
        self, request: valuation_pb2.GetCurveRequest, context: Any
    ) -> valuation_pb2.Curve:
        """Return a valuation's machine's values over time."""
        valuation = await self._get(request.valuation, field="valuation")
        hours_per_year, points = past_handlers.curve_of(
            self._registry,
            valuation,
            hours_per_year=(
                wire.to_decimal(request.hours_per_year, field="hours_per_year")
                if request.HasField("hours_per_year")
                else None
            ),
            months=request.months,
            step_months=request.step_months or CURVE_STEP_MONTHS,
            compliance=(
                wire.to_decimal(request.maintenance_compliance, field="maintenance_compliance")
                if request.HasField("maintenance_compliance")
                else None
            ),
        )
        return messages.curve_to_wire(valuation, hours_per_year, points)

    async def ReplayValuation(
        self, request: valuation_pb2.ReplayValuationRequest, context: Any
    ) -> valuation_pb2.ReplayValuationResponse:
        """Recompute a valuation and compare."""
        valuation = await self._get(request.name)
        recomputed_sha256, differences = past_handlers.replay(self._registry, valuation)
        return valuation_pb2.ReplayValuationResponse(
            outcome=(
                valuation_pb2.REPLAY_OUTCOME_MISMATCH
                if differences
                else valuation_pb2.REPLAY_OUTCOME_MATCH
            ),
            kept_sha256=valuation.record_sha256,
            recomputed_sha256=recomputed_sha256,
            differences=[
                valuation_pb2.ReplayDifference(path=path, kept=kept, recomputed=recomputed)
                for path, kept, recomputed in differences
            ],
            record=valuation.record,
        )

    async def ApproveValuation(
        self, request: valuation_pb2.ApproveValuationRequest, context: Any
    ) -> valuation_pb2.Valuation:
        """Issue a valuation that is in review."""

        async def work(tx: Transaction) -> valuation_pb2.Valuation:
            return messages.valuation_to_wire(
                await handlers.approve_valuation(
                    tx,
                    self._registry,
                    parse_name(request.name, "valuations"),
                    etag=request.etag,
                    decision=_decision(request),
                    viewer=principal(),
                )
            )

        return await self._commands.run(request, work)

    async def RejectValuation(
        self, request: valuation_pb2.RejectValuationRequest, context: Any
    ) -> valuation_pb2.Valuation:
        """Reject a valuation that is in review."""

        async def work(tx: Transaction) -> valuation_pb2.Valuation:
            return messages.valuation_to_wire(
                await handlers.reject_valuation(
                    tx,
                    parse_name(request.name, "valuations"),
                    etag=request.etag,
                    decision=_decision(request),
                    viewer=principal(),
                )
            )

        return await self._commands.run(request, work)

    async def RevokeValuation(
        self, request: valuation_pb2.RevokeValuationRequest, context: Any
    ) -> valuation_pb2.Valuation:
        """Take an issued valuation back."""

        async def work(tx: Transaction) -> valuation_pb2.Valuation:
            return messages.valuation_to_wire(
                await handlers.revoke_valuation(
                    tx,
                    parse_name(request.name, "valuations"),
                    etag=request.etag,
                    decision=_decision(request),
                    viewer=principal(),
                )
            )

        return await self._commands.run(request, work)

    async def ListModels(
        self, request: valuation_pb2.ListModelsRequest, context: Any
    ) -> valuation_pb2.ListModelsResponse:
        """List the model versions, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await model_store.list_models(connection, after=page.after, limit=page.limit + 1)
        kept, token = self._pages.cut(
            request, page, rows, key=lambda row: (row.window_end, row.version)
        )
        return valuation_pb2.ListModelsResponse(
            models=[
                messages.model_to_wire(row, self._registry.models.get(row.version)) for row in kept
            ],
            next_page_token=token,
        )

    async def GetModelCard(
        self, request: valuation_pb2.GetModelCardRequest, context: Any
    ) -> valuation_pb2.ModelCard:
        """Return a model's card."""
        async with self._database.read() as connection:
            row = await model_store.find_model(connection, request.name.removeprefix("models/"))
        if row is None:
            raise NotFound(request.name)
        model = self._registry.models.get(row.version)
        return valuation_pb2.ModelCard(
            model=messages.model_to_wire(row, model),
            markdown="" if model is None else model.card,
            evaluation_json="" if model is None else model.evaluation,
        )

    async def GetPolicy(
        self, request: valuation_pb2.GetPolicyRequest, context: Any
    ) -> valuation_pb2.Policy:
        """Return a policy table."""
        version = request.name.removeprefix("policies/")
        policies = self._registry.policies
        policy = self._registry.present.policy if version == CURRENT else policies.get(version)
        if policy is None:
            raise NotFound(request.name)
        return messages.policy_to_wire(policy)

    async def _compute(self, request: valuation_pb2.CreateValuationRequest) -> handlers.Computed:
        """Return what a request's machine is worth; nothing is written.

        Raises:
            DomainError: As the contract says.
        """
        viewer, valuer = principal(), self._registry.present
        party = handlers.valued_party(viewer, request.party)
        today = self._runtime.clock.today()
        has_day = request.HasField("as_of")
        as_of = wire.to_date(request.as_of, field="as_of") if has_day else today
        known = facts = None
        if request.machine:
            known = await handlers.read_machine(
                self._runtime,
                request.machine,
                viewer=viewer,
                as_of=as_of if as_of < today else None,
            )
            specification = known.best_specification
        else:
            specification = messages.specification_from_wire(request.specification)
        inputs = messages.inputs_from_wire(
            specification,
            request.overrides,
            as_of=as_of,
            olv_weight=valuer.policy.number("OLV_WEIGHT"),
        )
        check_inputs(inputs, valuer.policy, today=today, registered=bool(request.machine))
        if known is not None:
            facts = facts_used(inputs, known, valuer.policy)
            inputs = with_known(inputs, known, valuer.policy)
        nowcast = self._nowcasts.find(valuer, specification.equipment_class, as_of=as_of)
        inputs = replace(inputs, nowcast=nowcast)
        return handlers.compute(
            valuer,
            inputs,
            party=party,
            machine=request.machine,
            at=self._runtime.clock.now(),
            facts=facts,
        )

    async def _get(self, resource: str, *, field: str = "name") -> Valuation:
        return await past_handlers.get_valuation(
            self._database, parse_name(resource, "valuations", field=field), viewer=principal()
        )


def _decision(request: _Decided) -> Decision:
    return Decision(request.reason, principal().actor)
