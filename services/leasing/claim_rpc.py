"""The contract of claims: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.leasing.v1 import claims_pb2, claims_pb2_grpc

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.leasing import claim_handlers, claim_sagas, claim_store
from services.leasing.ending_messages import claim_to_wire


class ClaimRpc(claims_pb2_grpc.ClaimServiceServicer):
    """Serves ironloop.leasing.v1.ClaimService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def GetClaim(self, request: claims_pb2.GetClaimRequest, context: Any) -> claims_pb2.Claim:
        """Return a claim."""
        claim_id = parse_name(request.name, "claims")
        async with self._database.read() as connection:
            claim = await claim_handlers.get_claim(connection, claim_id, viewer=principal())
        return claim_to_wire(claim)

    async def ListClaims(
        self, request: claims_pb2.ListClaimsRequest, context: Any
    ) -> claims_pb2.ListClaimsResponse:
        """List claims, the newest first."""
        page = self._pages.open(request)
        state = wire.enum_name(claims_pb2.ClaimState, request.state, prefix="CLAIM_STATE_")
        async with self._database.read() as connection:
            rows = await claim_store.list_claims(
                connection,
                viewer=principal(),
                lease_id=parse_name(request.lease, "leases", field="lease")
                if request.lease
                else None,
                state=state if request.state else "",
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(
            request, page, rows, key=lambda claim: (claim.create_time, claim.id)
        )
        return claims_pb2.ListClaimsResponse(
            claims=[claim_to_wire(claim) for claim in kept], next_page_token=token
        )

    async def PayClaim(self, request: claims_pb2.PayClaimRequest, context: Any) -> claims_pb2.Claim:
        """Pay a claim, or a part of it."""
        is_given = request.HasField("amount")

        async def first(tx: Transaction) -> Saga:
            return await claim_sagas.begin_claim_payment(
                tx,
                parse_name(request.name, "claims"),
                viewer=principal(),
                amount_fen=wire.fen(request.amount, field="amount", positive=True)
                if is_given
                else None,
            )

        answer: claims_pb2.Claim = await self._commands.run_saga(request, first)
        return answer

    async def WaiveClaim(
        self, request: claims_pb2.WaiveClaimRequest, context: Any
    ) -> claims_pb2.Claim:
        """Give a claim up."""

        async def work(tx: Transaction) -> claims_pb2.Claim:
            return claim_to_wire(
                await claim_handlers.waive_claim(
                    tx,
                    parse_name(request.name, "claims"),
                    viewer=principal(),
                    reason=request.reason,
                )
            )

        return await self._commands.run(request, work)
