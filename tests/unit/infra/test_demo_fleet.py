"""Which machines of a fleet page take part in the demo, and what the page is completed by."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from infra.local.demo.attributes import TEMPLATES, ask_fen_of, template_of
from infra.local.demo.fleet import (
    ALIKE_MIN,
    OWN_PAGE,
    FleetUnreadable,
    alike,
    read_fleet,
)
from infra.local.demo.story import TooFewMachines, cast_machines

TODAY = date(2026, 11, 24)
PAGE = """<Fleet xmlns="http://standards.iso.org/iso/15143/-3">{}</Fleet>"""
ROW = (
    "<Equipment><EquipmentHeader><OEMName>Any</OEMName><Model>{model}</Model>"
    "<EquipmentID>{name}</EquipmentID></EquipmentHeader></Equipment>"
)


def page_of(folder: Path, *models: str) -> Path:
    page = folder / "page.xml"
    rows = (ROW.format(model=model, name=f"E{number}") for number, model in enumerate(models))
    page.write_text(PAGE.format("".join(rows)))
    return page


def test_the_demos_own_page_needs_no_help() -> None:
    fleet = read_fleet(OWN_PAGE, today=TODAY)
    assert fleet.remarks == []
    assert len(alike(fleet.machines)) >= ALIKE_MIN


def test_a_page_is_read_the_same_way_each_time(tmp_path: Path) -> None:
    page = page_of(tmp_path, *["missing"] * 30)
    assert read_fleet(page, today=TODAY) == read_fleet(page, today=TODAY)


def test_a_small_page_is_topped_up_and_says_so(tmp_path: Path) -> None:
    fleet = read_fleet(page_of(tmp_path, "EX-20"), today=TODAY)
    assert fleet.machines[0].equipment_id == "E0"
    assert len(alike(fleet.machines)) >= ALIKE_MIN
    assert "topped up" in fleet.remarks[-1]


def test_machines_of_one_model_are_of_one_class(tmp_path: Path) -> None:
    fleet = read_fleet(page_of(tmp_path, *["B40E"] * 6), today=TODAY)
    assert len({machine.template for machine in fleet.machines if machine.make == "Any"}) == 1


def test_old_machines_and_worn_ones_are_not_lent_on() -> None:
    young = replace(read_fleet(OWN_PAGE, today=TODAY).machines[0], is_lendable=False)
    assert alike([young] * ALIKE_MIN) == []
    later = read_fleet(OWN_PAGE, today=date(2040, 1, 1))
    assert not any(machine.is_lendable for machine in later.machines)


@pytest.mark.parametrize("content", ["", "no xml at all", "<Other/>"])
def test_a_file_that_is_no_page_is_refused_in_a_sentence(tmp_path: Path, content: str) -> None:
    page = tmp_path / "page.xml"
    page.write_text(content)
    with pytest.raises(FleetUnreadable, match="ISO 15143-3"):
        read_fleet(page, today=TODAY)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FleetUnreadable, match="FLEET="):
        read_fleet(tmp_path / "absent.xml", today=TODAY)


def test_the_pool_and_the_first_listing_are_alike() -> None:
    machines = read_fleet(OWN_PAGE, today=TODAY).machines
    pooled, offered = cast_machines(machines)
    assert len(pooled) == ALIKE_MIN
    assert offered[0] in alike(machines)
    assert not set(map(id, pooled)) & set(map(id, offered))


def test_too_few_machines_end_the_story() -> None:
    with pytest.raises(TooFewMachines):
        cast_machines(read_fleet(OWN_PAGE, today=TODAY).machines[:3])


def test_a_model_of_the_table_keeps_its_template() -> None:
    assert all(template_of("any", template.model) is template for template in TEMPLATES)


@pytest.mark.parametrize("guide_fen", [1, 10_000_000, 47_907_072])
def test_an_ask_lies_near_the_guide(guide_fen: int) -> None:
    ask_fen = ask_fen_of("E1", guide_fen)
    assert ask_fen % 100_000 == 0
    assert ask_fen == 100_000 or 0.97 * guide_fen <= ask_fen <= 1.05 * guide_fen
