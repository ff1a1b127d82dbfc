"""The pages that the demo's machines send: what is written is read back, and hours only rise."""

from datetime import UTC, datetime
from decimal import Decimal

from infra.local.demo.act_breakdown import AFTER_MONTH_SHARE
from infra.local.demo.act_lease import HOURS_PER_YEAR, TERM_MONTHS
from infra.local.demo.act_trade import Purchase
from infra.local.demo.field import Breakdown, hours_after, page_of
from infra.local.demo.fleet import OWN_PAGE, FleetMachine, read_fleet
from services.iso15143.reader import read_page
from services.maintenance.fault_model import FaultCode, Severity, code_of, severity_of

NOW = datetime(2028, 11, 19, 8, 30, tzinfo=UTC)


def fleet() -> list[FleetMachine]:
    return read_fleet(OWN_PAGE, today=NOW.date()).machines


def owned() -> list[Purchase]:
    return [
        Purchase(f"machines/{place}", machine, price_fen=1) for place, machine in enumerate(fleet())
    ]


def test_a_page_of_the_field_is_read_back_whole_with_its_fault() -> None:
    purchases = owned()
    broken = purchases[3]
    page = read_page(page_of(purchases, 24, at=NOW, breakdown=Breakdown(broken.machine)))
    assert page.problems == ()
    for purchase, equipment in zip(purchases, page.fleet.equipment, strict=True):
        machine = purchase.fleet_machine
        assert equipment.header.equipment_id == machine.equipment_id
        assert equipment.operating_hours is not None
        assert equipment.operating_hours.hours == hours_after(machine, 24)
        assert equipment.operating_hours.read_at == NOW
        assert bool(equipment.faults) == (purchase is broken)
    (fault,) = page.fleet.equipment[3].faults
    assert code_of(fault.identifier, fault.source) == FaultCode(100, 1, 0)
    assert severity_of(fault.severity) is Severity.STOP


def test_hours_start_at_the_registered_ones_rise_and_exceed_what_the_lease_pays_for() -> None:
    paid_for = Decimal(HOURS_PER_YEAR * TERM_MONTHS) / 12
    for machine in fleet():
        course: list[int | Decimal] = [0, 1, 23, 23 + AFTER_MONTH_SHARE, 24, TERM_MONTHS]
        shown = [hours_after(machine, months) for months in course]
        assert shown == sorted(set(shown))
        assert shown[0] == machine.hours_meter
        assert shown[-1] - shown[0] > paid_for


def test_idle_hours_go_on_from_the_page_s_own() -> None:
    (first, *_) = owned()
    machine = first.fleet_machine
    page = read_page(page_of([first], 12, at=NOW))
    idle = page.fleet.equipment[0].idle_hours
    assert idle is not None
    assert machine.idle_hours < idle.hours < machine.idle_hours + hours_after(machine, 12)
