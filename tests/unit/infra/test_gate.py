"""The gate finds what it is there to find."""

import re
from pathlib import Path

import grimp
import pytest
from importlinter import Contract

from infra.gate import __main__ as gate
from infra.gate import leaks, manifests
from infra.gate.check import CheckFailed
from infra.gate.contracts import RoomLayers, RoomsApart

SHOP = (
    "services.shop.rpc -> services.shop.order_handlers",
    "services.shop.consumers -> services.shop.order_handlers",
    "services.shop.sagas -> services.shop.clients",
    "services.shop.order_handlers -> services.shop.order_store",
    "services.shop.order_store -> services.shop.order_model",
    "services.shop.lifecycle -> services.shop.order_model",
    "services.shop.order_model -> services.shop.errors",
    "services.shop.order_handlers -> services.shop.tax",
    "services.shop.__main__ -> services.shop.definition",
    "services.shop.definition -> services.shop.rpc",
    "services.shop.rpc -> services.kit.errors",
    "services.shop.order_model -> services.finmath.money",
)


def graph_of(*imports: str) -> grimp.ImportGraph:
    graph = grimp.ImportGraph()
    for line in imports:
        importer, imported = line.split(" -> ")
        for module in (importer, imported):
            parts = module.split(".")
            for depth in range(1, len(parts) + 1):
                graph.add_module(".".join(parts[:depth]))
        graph.add_import(importer=importer, imported=imported)
    return graph


def breaches(contract: type[Contract], *imports: str) -> list[tuple[str, ...]]:
    checked = contract(name="", session_options={}, contract_options={}).check(
        graph_of(*SHOP, *imports), verbose=False
    )
    found: list[tuple[str, ...]] = checked.metadata["breaches"]
    assert checked.kept == (not found)
    return found


@pytest.mark.parametrize(
    "line",
    [
        "services.shop.clients -> services.bank.model",
        "services.kit.errors -> services.shop.errors",
        "services.finmath.money -> services.kit.errors",
        "services.shop.handlers -> ml.model",
        "services.shop.handlers -> infra.local.paths",
        "ml.training -> services.valuation.model",
    ],
)
def test_what_rooms_must_not_share_is_found(line: str) -> None:
    assert breaches(RoomsApart, line) == [tuple(line.split(" -> "))]


@pytest.mark.parametrize(
    "line",
    [
        "services.valuation.handlers -> ml.model",
        "infra.local.demo -> services.kit.wire",
        "services.shop.handlers -> services.iso15143.page",
    ],
)
def test_what_rooms_may_share_is_let_be(line: str) -> None:
    assert breaches(RoomsApart, line) == []


@pytest.mark.parametrize(
    "lines",
    [
        ("services.shop.order_handlers -> services.shop.rpc",),
        ("services.shop.order_store -> services.shop.order_handlers",),
        ("services.shop.order_model -> services.shop.order_store",),
        ("services.shop.order_model -> services.shop.lifecycle",),
        ("services.shop.errors -> services.shop.order_model",),
        ("services.shop.order_handlers -> services.shop.sagas",),
        ("services.shop.clients -> services.shop.order_saga",),
        ("services.shop.rpc -> services.shop.consumers",),
        ("services.shop.tax -> services.shop.rpc",),
        # Through a file whose name gives it no height.
        (
            "services.shop.order_model -> services.shop.price",
            "services.shop.price -> services.shop.order_store",
        ),
    ],
)
def test_an_import_upwards_in_a_room_is_found(lines: tuple[str, ...]) -> None:
    chain = [lines[0].split(" -> ")[0], *(line.split(" -> ")[1] for line in lines)]
    assert tuple(chain) in breaches(RoomLayers, *lines)


def test_a_room_as_it_should_be_keeps_both_contracts() -> None:
    assert breaches(RoomsApart) == []
    assert breaches(RoomLayers) == []


@pytest.mark.parametrize(
    "line", ["see /home/" + "someone/x", "cd /" + "work/main", "--index" + "-url https://x.example"]
)
def test_a_machine_s_path_or_registry_in_a_tracked_file_is_found(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.md").write_text(f"fine\n{line}\n")
    monkeypatch.setattr(leaks, "ROOT", tmp_path)
    monkeypatch.setattr(leaks, "git", lambda *_: "page.md")
    with pytest.raises(CheckFailed, match=re.escape("page.md:2:")):
        leaks.check()


def test_the_registry_that_the_machine_installs_from_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.md").write_text("from packages.example it comes\n")
    monkeypatch.setattr(leaks, "ROOT", tmp_path)
    monkeypatch.setattr(leaks, "git", lambda *_: "page.md")
    assert leaks.check() == ""
    monkeypatch.setenv("PIP_INDEX_URL", "https://user@packages.example/simple")
    with pytest.raises(CheckFailed):
        leaks.check()


def test_a_service_without_its_manifest_and_a_pod_without_limits_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: parties}\n"
        "spec:\n  selector: {}\n  replica: 1\n"
        "  template: {spec: {containers: [{name: service, image: any}]}}\n"
    )
    monkeypatch.setattr(manifests, "run_program", lambda *_: rendered)
    with pytest.raises(CheckFailed) as caught:
        manifests.check()
    found = str(caught.value)
    assert "replica" in found  # no such field
    assert "the base has no Service parties" in found
    assert "the base has no Deployment leasing" in found
    assert "parties: container service has no readinessProbe" in found
    assert "parties: container service has no resources" in found
    assert "parties: the pod may run as root" in found


def test_an_unknown_check_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate.main(["spelling"]) == 2
    assert "no check spelling; there are mypy" in capsys.readouterr().err
