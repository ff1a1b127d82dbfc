"""The contract of the policy tables: protobuf to arguments and back."""

from typing import Any

from ironloop.finance.v1 import finance_pb2

from services.finance import facility_handlers, messages, policy_store
from services.finance.policy_model import Parameter, Value
from services.finance.rpc_base import RpcPart, found
from services.kit import wire
from services.kit.errors import InvalidArgument
from services.kit.ids import parse_name
from services.kit.transaction import Transaction

CURRENT_POLICY = "policies/current"


class PolicyRpc(RpcPart):
    """The part of FinanceService about policies."""

    async def GetPolicy(
        self, request: finance_pb2.GetPolicyRequest, context: Any
    ) -> finance_pb2.Policy:
        """Return one version of the policy tables."""
        async with self._database.read() as connection:
            if request.name == CURRENT_POLICY:
                return messages.policy(await policy_store.current_policy(connection))
            policy_id = parse_name(request.name, "policies")
            row = await policy_store.find_policy(connection, policy_id)
        return messages.policy(found(row, request.name))

    async def ListPolicies(
        self, request: finance_pb2.ListPoliciesRequest, context: Any
    ) -> finance_pb2.ListPoliciesResponse:
        """List the versions of the policy tables."""
        rows, token = await self._page(request, policy_store.list_policies)
        return finance_pb2.ListPoliciesResponse(
            policies=[messages.policy(row) for row in rows], next_page_token=token
        )

    async def PublishPolicy(
        self, request: finance_pb2.PublishPolicyRequest, context: Any
    ) -> finance_pb2.Policy:
        """Publish a new version of the policy tables."""

        async def work(tx: Transaction) -> finance_pb2.Policy:
            return messages.policy(
                await facility_handlers.publish_policy(
                    tx,
                    version=request.version,
                    values=_policy_values(request),
                    hours_limits={
                        limit.equipment_class: limit.hours for limit in request.hours_limits
                    },
                )
            )

        return await self._commands.run(request, work)


def parameter_from_wire(number: int) -> Parameter:
    """Return a parameter of the tables."""
    return Parameter(
        wire.enum_name(finance_pb2.PolicyParameter, number, prefix="POLICY_PARAMETER_")
    )


def _policy_values(request: finance_pb2.PublishPolicyRequest) -> dict[Parameter, Value]:
    values = {}
    for line in request.values:
        parameter = parameter_from_wire(line.parameter)
        if parameter in values:
            raise InvalidArgument("values", f"{parameter} stands twice")
        has_bounds = line.HasField("override_low"), line.HasField("override_high")
        values[parameter] = Value(
            wire.to_decimal(line.value, field="values"),
            wire.to_decimal(line.override_low, field="values") if has_bounds[0] else None,
            wire.to_decimal(line.override_high, field="values") if has_bounds[1] else None,
        )
    return values
