"""The start: wallets funded, machines registered, the telematics page taken in."""

import hashlib

from ironloop.maintenance.v1 import telemetry_pb2, telemetry_pb2_grpc
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from infra.local.demo.scene import MAIN_LEDGER, Scene
from services.kit.amounts import yuan
from services.kit.ids import new_id

PAID_IN_FEN = {  # what each brings along, fen
    "dealer": 600_000_000,
    "lessee": 300_000_000,
    "financier": 1_000_000_000,
    "second lender": 100_000_000,
    "buyer 1": 200_000_000,
    "buyer 2": 200_000_000,
    "bidder": 200_000_000,
}


async def fund_wallets(scene: Scene) -> None:
    """Let the operator open wallets and pay money into them from the bank's mirror account."""
    ledger = scene.cast.operator.stub(settlement_pb2_grpc.SettlementServiceStub)
    everyone = scene.cast.parties()
    opened = await ledger.CreateAccounts(
        settlement_pb2.CreateAccountsRequest(
            accounts=[
                settlement_pb2.NewAccount(kind=settlement_pb2.ACCOUNT_KIND_BANK),
                *(
                    settlement_pb2.NewAccount(
                        kind=settlement_pb2.ACCOUNT_KIND_WALLET, owner=actor.party
                    )
                    for actor in everyone.values()
                ),
            ]
        )
    )
    bank, *wallets = (int(account.name.split("/")[1]) for account in opened.accounts)
    wallet_of = dict(zip(everyone, wallets, strict=True))
    posted = await ledger.PostTransfers(
        settlement_pb2.PostTransfersRequest(
            transfers=[
                settlement_pb2.Transfer(
                    id=str(new_id()),
                    debit_account=bank,
                    credit_account=wallet_of[name],
                    amount_fen=amount_fen,
                    kind=settlement_pb2.TRANSFER_KIND_POSTED,
                    code=settlement_pb2.TRANSFER_CODE_FUND_WALLET,
                    purpose=MAIN_LEDGER,
                    memo="paid in at the bank",
                )
                for name, amount_fen in PAID_IN_FEN.items()
            ]
        )
    )
    created = settlement_pb2.RESULT_CODE_CREATED
    assert all(result.code == created for result in posted.results), posted
    scene.paid_in_fen = {everyone[name].party: amount for name, amount in PAID_IN_FEN.items()}
    total_fen = sum(PAID_IN_FEN.values())
    scene.narrator.tell("operator", f"pays {yuan(total_fen)} into {len(PAID_IN_FEN)} wallets")


async def import_fleet(scene: Scene) -> None:
    """Register every machine of the page as the manufacturer's."""
    registry = scene.cast.manufacturer.stub(machines_pb2_grpc.MachineServiceStub)
    rows = [
        machines_pb2.MachineRow(
            pin=machine.pin,
            serial_number=machine.serial_number,
            make=machine.make,
            model=machine.model,
            equipment_class=machine.template.equipment_class,
            build_year=machine.build_year,
            hours_meter=f"{machine.hours_meter:.2f}",
            replacement_cost_fen=machine.template.replacement_cost_fen,
        )
        for machine in scene.fleet
    ]
    for _ in range(2):  # twice: an import may be repeated
        answer = await registry.ImportMachines(machines_pb2.ImportMachinesRequest(rows=rows))
        scene.narrator.tell(
            "manufacturer",
            f"imports {len(rows)} machines: {answer.created} created, "
            f"{answer.unchanged} unchanged, {answer.refused} refused",
        )
    for report, machine in zip(answer.reports, scene.fleet, strict=True):
        if report.name:
            scene.machines[machine.equipment_id] = report.name
        else:
            reasons = "; ".join(refusal.description for refusal in report.refusals)
            scene.narrator.tell("registry", f"refuses {machine.equipment_id}: {reasons}")
    scene.fleet = [machine for machine in scene.fleet if machine.equipment_id in scene.machines]


async def take_page(scene: Scene) -> None:
    """Let the manufacturer hand the page in as telemetry, twice: that changes nothing more."""
    telemetry = scene.cast.manufacturer.stub(telemetry_pb2_grpc.TelemetryServiceStub)
    await scene.time.until_at_rest()  # maintenance has heard of the machines by then
    request = telemetry_pb2.ImportFleetSnapshotRequest(document=scene.page)
    taken = await telemetry.ImportFleetSnapshot(request)
    again = await telemetry.ImportFleetSnapshot(request)
    scene.checks["a page taken twice stores its readings once"] = again.accepted == 0
    digest = hashlib.sha256(scene.page).hexdigest()
    scene.narrator.tell(
        "manufacturer",
        f"hands the page {digest[:12]}… in as telemetry (ISO 15143-3): {taken.accepted} readings "
        f"of {len(taken.rows) - taken.unknown_machines} machines, {taken.quarantined} held back, "
        f"{taken.unreadable} not readable, {taken.unknown_machines} machines unknown",
    )
