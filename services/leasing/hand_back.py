"""A machine's way back to its lessor: the step that return, repossession and loss share."""

from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga
from services.leasing import clients


async def take_back(runtime: Runtime, saga: Saga) -> Facts:
    """Pass the machine's custody back to the lessor, from the site, the road or the workshop."""
    machine = await clients.get_machine(runtime.peers, saga.facts["machine"], actor=saga.actor)
    ways = ["IN_TRANSIT"] if machine.custody == "ON_LEASE" else []
    for custody in (*ways, "AVAILABLE"):
        await clients.hand_over_machine(
            runtime.peers,
            machine.name,
            lease=saga.subject,
            custody=custody,
            custodian=saga.facts["lessor"],
            request_id=saga.retry_request_id(custody),
        )
    return {}
