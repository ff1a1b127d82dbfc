"""Remanufacturing: an engine made as new out of a core, and the core that comes back for it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from google.type import decimal_pb2
from ironloop.remanufacturing.v1 import (
    cores_pb2,
    cores_pb2_grpc,
    families_pb2,
    families_pb2_grpc,
    reman_pb2,
    reman_pb2_grpc,
)
from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from infra.local.demo.part_family import (
    DEPOSIT_FEN,
    FAMILY_CODE,
    NEW_WARRANTY_MONTHS,
    OWN_PART_NUMBER,
    UPGRADE_CODE,
    UPGRADE_FEN,
    engine_family,
)
from infra.local.demo.scene import Scene, document, fen, request_id
from services.kit import wire
from services.kit.amounts import yuan

UNIT_PRICE_FEN = 6_800_000
CORE_HOURS = Decimal("11240.5")


@dataclass(frozen=True, slots=True)
class Stocked:
    """A remanufactured engine on the shelf.

    Attributes:
        family: "partFamilies/…".
        unit: "units/…".
    """

    family: str
    unit: str


async def make_engine(scene: Scene) -> Stocked:
    """Let the remanufacturer make an engine as new out of a core of its own, and stock it."""
    cast, narrator = scene.cast, scene.narrator
    family = await cast.remanufacturer.stub(
        families_pb2_grpc.PartFamilyServiceStub
    ).CreatePartFamily(
        families_pb2.CreatePartFamilyRequest(
            request_id=request_id(), code=FAMILY_CODE, content=engine_family()
        )
    )
    shop = cast.remanufacturer.stub(reman_pb2_grpc.RemanServiceStub)
    order = await shop.CreateRemanOrder(
        reman_pb2.CreateRemanOrderRequest(
            request_id=request_id(),
            part_family=family.name,
            part_number=OWN_PART_NUMBER,
            serial_number="CORE-0417",
            hours=wire.decimal(CORE_HOURS),
        )
    )
    narrator.tell("remanufacturer", f"takes the core of an engine apart that ran {CORE_HOURS:,} h")
    await _record_steps(shop, order.name)
    # The one who tested may not certify.
    certified = await cast.certifier.stub(reman_pb2_grpc.RemanServiceStub).CertifyOrder(
        reman_pb2.CertifyOrderRequest(
            request_id=request_id(), name=order.name, warranty_months=NEW_WARRANTY_MONTHS
        )
    )
    stocked = await shop.StockUnit(
        reman_pb2.StockUnitRequest(
            request_id=request_id(),
            name=order.name,
            price=wire.money(UNIT_PRICE_FEN),
            location="Changsha, rack 7",
        )
    )
    certificate = certified.certificate
    made = wire.enum_name(reman_pb2.RemanClass, certificate.reman_class, prefix="REMAN_CLASS_")
    narrator.tell(
        "remanufacturer",
        f"a second person certifies it {made}, label {certificate.label_no}: "
        f"{certificate.savings.material_kg.value} kg and {certificate.savings.co2_kg.value} kg "
        f"CO2e saved; in stock for {yuan(UNIT_PRICE_FEN)}",
    )
    return Stocked(family.name, stocked.name)


async def take_core_back(scene: Scene, core_return: str, *, serial_number: str) -> None:
    """Take the core of an exchange in, grade it by two persons, and see its deposit credited."""
    cast = scene.cast
    cores = cast.remanufacturer.stub(cores_pb2_grpc.CoreServiceStub)
    await cores.AuthoriseCoreReturn(
        cores_pb2.AuthoriseCoreReturnRequest(request_id=request_id(), name=core_return)
    )
    await cores.ReceiveCore(
        cores_pb2.ReceiveCoreRequest(
            request_id=request_id(),
            name=core_return,
            part_number=OWN_PART_NUMBER,
            serial_number=serial_number,
        )
    )
    graded = await cores.GradeCore(
        cores_pb2.GradeCoreRequest(
            request_id=request_id(),
            name=core_return,
            grade=cores_pb2.CORE_GRADE_FULL,
            codes=[UPGRADE_CODE],
            note="whole, of the older fuel system",
        )
    )
    await cast.certifier.stub(cores_pb2_grpc.CoreServiceStub).ConfirmGrade(
        cores_pb2.ConfirmGradeRequest(request_id=request_id(), name=core_return, etag=graded.etag)
    )
    await scene.time.until_at_rest()
    ended = await cores.GetCoreReturn(cores_pb2.GetCoreReturnRequest(name=core_return))
    kept_fen = await _kept_fen(scene)
    left_fen = await _deposit_left_fen(scene, ended.deposit_account)
    scene.checks["the core deposit is fully accounted for"] = (
        ended.state == cores_pb2.CORE_RETURN_STATE_CREDITED
        and fen(ended.deposit) == DEPOSIT_FEN
        and fen(ended.credit) == DEPOSIT_FEN - UPGRADE_FEN
        and kept_fen == UPGRADE_FEN
        and left_fen == 0
    )
    scene.narrator.tell(
        "remanufacturer",
        f"grades the core FULL with {UPGRADE_CODE}: {yuan(fen(ended.credit))} of the deposit of "
        f"{yuan(fen(ended.deposit))} goes back to the lessee, {yuan(kept_fen)} stays; RMA "
        f"{ended.rma_number}",
    )
    await _queue(scene, ended)


async def _queue(scene: Scene, core: cores_pb2.CoreReturn) -> None:
    """Let the core become the next engine's: the loop closes here too."""
    order = await scene.cast.remanufacturer.stub(reman_pb2_grpc.RemanServiceStub).CreateRemanOrder(
        reman_pb2.CreateRemanOrderRequest(
            request_id=request_id(), part_family=core.part_family, core_return=core.name
        )
    )
    scene.narrator.tell(
        "remanufacturer", f"queues the core {order.prior_serial_number} as the next"
    )


async def _record_steps(shop: "reman_pb2_grpc.RemanServiceAsyncStub", order: str) -> None:
    """Record every step from the incoming inspection to the test (GB/T 28618 annex A)."""

    def step(note: str) -> dict[str, Any]:
        papers = [document("reman-steps", note.replace(" ", "-"), "application/pdf")]
        record = reman_pb2.StepRecord(note=note, documents=papers)
        return {"request_id": request_id(), "name": order, "record": record}

    await shop.RecordIncomingInspection(
        reman_pb2.RecordIncomingInspectionRequest(**step("complete and turning"))
    )
    await shop.RecordDisassembly(reman_pb2.RecordDisassemblyRequest(**step("all parts there")))
    await shop.RecordCleaning(reman_pb2.RecordCleaningRequest(**step("hot wash and ultrasonics")))
    await shop.RecordInspection(
        reman_pb2.RecordInspectionRequest(
            **step("each part decided about"),
            decisions=[
                reman_pb2.PartDecision(
                    position="BLOCK", disposition=reman_pb2.DISPOSITION_REWORK, reason="0.02 mm"
                ),
                reman_pb2.PartDecision(
                    position="CRANKSHAFT", disposition=reman_pb2.DISPOSITION_REUSE
                ),
                reman_pb2.PartDecision(
                    position="TURBO", disposition=reman_pb2.DISPOSITION_REPLACE, reason="worn"
                ),
            ],
        )
    )
    await shop.RecordRework(
        reman_pb2.RecordReworkRequest(
            **step("bores honed, turbocharger replaced"),
            works=[
                reman_pb2.PartWork(position="BLOCK", operation="honed", cost=wire.money(1_200_000)),
                reman_pb2.PartWork(
                    position="TURBO", installed_serial_number="T-77", cost=wire.money(900_000)
                ),
            ],
        )
    )
    await shop.RecordAssembly(reman_pb2.RecordAssemblyRequest(**step("torques as specified")))
    values = {"RATED_POWER": "206", "BLOW_BY": "38"}
    await shop.RecordTest(
        reman_pb2.RecordTestRequest(
            **step("run in and measured"),
            values=[
                reman_pb2.MeasuredValue(code=code, value=decimal_pb2.Decimal(value=text))
                for code, text in values.items()
            ],
        )
    )


async def _kept_fen(scene: Scene) -> int:
    ledger = scene.cast.remanufacturer.stub(settlement_pb2_grpc.SettlementServiceStub)
    found = await ledger.ListAccounts(
        settlement_pb2.ListAccountsRequest(
            owner=scene.cast.remanufacturer.party, kind=settlement_pb2.ACCOUNT_KIND_REMAN_INCOME
        )
    )
    return sum(fen(account.balance) for account in found.accounts)


async def _deposit_left_fen(scene: Scene, account: str) -> int:
    ledger = scene.cast.operator.stub(settlement_pb2_grpc.SettlementServiceStub)
    found = await ledger.GetAccount(settlement_pb2.GetAccountRequest(name=account))
    return fen(found.balance)
