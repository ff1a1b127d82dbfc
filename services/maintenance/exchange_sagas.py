"""The exchange repair across maintenance and remanufacturing (domain page §3.9), as rows.

Asking for a unit: it is reserved, then the core's deposit is charged; where that is refused the
unit is released. Once its work order is completed the unit is in the machine, so its record is
tried until it is written. Giving an exchange up: the deposit goes back, then the unit is released.
What becomes of the core after that is remanufacturing's own; its events close the exchange.
"""

from decimal import Decimal
from uuid import UUID

from google.protobuf.message import Message

from services.kit import wire
from services.kit.errors import DomainError
from services.kit.ids import parse_name
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step, until_done
from services.kit.transaction import Transaction
from services.maintenance import exchange_handlers as exchanges
from services.maintenance import reman_clients
from services.maintenance.exchange_wire import exchange_to_wire


async def reserve_unit(runtime: Runtime, saga: Saga) -> Facts:
    """Hold a unit of the family.

    Raises:
        PeerRefused: There is none.
    """
    unit = await reman_clients.reserve_unit(runtime, saga, saga.facts["part_family"])
    return {
        "unit": unit.name,
        "price_fen": wire.fen(unit.price, field="price"),
        "remanufacturer": unit.remanufacturer,
    }


async def write_reserved(tx: Transaction, saga: Saga) -> None:
    """Write which unit is held."""
    facts = saga.facts
    await exchanges.mark_reserved(
        tx,
        exchange_id_of(saga),
        unit=facts["unit"],
        price_fen=facts["price_fen"],
        remanufacturer=facts["remanufacturer"],
    )


async def release_unit(runtime: Runtime, saga: Saga) -> None:
    """Release the unit again."""
    if unit := saga.facts.get("unit"):
        await reman_clients.release_unit(runtime, saga, unit)


async def charge_deposit(runtime: Runtime, saga: Saga) -> Facts:
    """Have the core's deposit charged.

    Raises:
        PeerRefused: It is another one, or the payer's wallet does not hold it.
    """
    facts = saga.facts
    core_return = await reman_clients.charge_deposit(
        runtime,
        saga,
        payer=facts["payer"],
        machine=facts["machine"],
        work_order=facts["work_order"],
        part_family=facts["part_family"],
        deposit_fen=facts["deposit_fen"],
    )
    return {
        "core_return": core_return.name,
        "charged_fen": wire.fen(core_return.deposit, field="deposit"),
    }


async def write_charged(tx: Transaction, saga: Saga) -> None:
    """Write which return holds the deposit."""
    await exchanges.mark_charged(
        tx,
        exchange_id_of(saga),
        core_return=saga.facts["core_return"],
        deposit_fen=saga.facts["charged_fen"],
    )


async def write_refused(tx: Transaction, saga: Saga, refusal: DomainError) -> None:
    """Write why there is no exchange."""
    await exchanges.mark_refused(tx, exchange_id_of(saga), refusal)


async def install_unit(runtime: Runtime, saga: Saga) -> Facts:
    """Have the unit entered in its machine's record.

    Raises:
        HeldUp: It was refused; the unit is in the machine, so it is tried until it is done.
    """
    facts = saga.facts
    async with until_done(f"installation of {facts['unit']}"):
        await reman_clients.install_unit(
            runtime,
            saga,
            facts["unit"],
            machine=facts["machine"],
            work_order=facts["work_order"],
            hours=Decimal(facts["hours"]),
            removed_serial=facts["removed_serial"],
            position=facts["position"],
        )
    return {}


async def write_installed(tx: Transaction, saga: Saga) -> None:
    """Write that the unit is on record."""
    await exchanges.mark_installed(tx, exchange_id_of(saga))


async def refund_deposit(runtime: Runtime, saga: Saga) -> Facts:
    """Have the deposit given back.

    Raises:
        PeerRefused: The core may be on its way already; the exchange stays as it is.
    """
    await reman_clients.refund_deposit(runtime, saga, saga.facts["core_return"])
    return {}


async def write_refunded(tx: Transaction, saga: Saga) -> None:
    """Write that the deposit went back."""
    await exchanges.note_refund(tx, exchange_id_of(saga))


async def free_unit(runtime: Runtime, saga: Saga) -> Facts:
    """Release the unit of an exchange whose deposit went back.

    Raises:
        HeldUp: It was refused; the deposit is back, so it is tried until it is done.
    """
    async with until_done(f"release of {saga.facts['unit']}"):
        await reman_clients.release_unit(runtime, saga, saga.facts["unit"])
    return {}


async def write_cancelled(tx: Transaction, saga: Saga) -> None:
    """Write that the exchange is given up."""
    await exchanges.mark_cancelled(tx, exchange_id_of(saga), reason=saga.facts["reason"])


async def answer_exchange(tx: Transaction, saga: Saga) -> Message:
    """Answer the exchange as it stands."""
    return exchange_to_wire(await exchanges.lock(tx, exchange_id_of(saga)))


def exchange_id_of(saga: Saga) -> UUID:
    """Return the id of the exchange that a saga works on."""
    return parse_name(saga.subject, "exchanges")


EXCHANGE_SAGAS = (
    SagaKind(
        exchanges.REQUEST_EXCHANGE,
        (
            Step("reserve_unit", call=reserve_unit, apply=write_reserved, undo=release_unit),
            Step("charge_deposit", call=charge_deposit, apply=write_charged),
        ),
        answer=answer_exchange,
        on_refused=write_refused,
    ),
    SagaKind(
        exchanges.INSTALL_EXCHANGE,
        (Step("install_unit", call=install_unit, apply=write_installed),),
    ),
    SagaKind(
        exchanges.CANCEL_EXCHANGE,
        (
            Step("refund_deposit", call=refund_deposit, apply=write_refunded),
            Step("release_unit", call=free_unit, apply=write_cancelled),
        ),
        answer=answer_exchange,
    ),
)
