"""The two import-linter contracts of the architecture; a new room falls under both by itself."""

from collections.abc import Iterator
from typing import TypeAlias

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output

ROOMS = "services"

# What everybody may use; each of these uses nothing of the others. `kit` knows no service.
SHARED = frozenset({"kit", "finmath", "iso15143"})

# What a room may use beside itself and what is shared: valuation loads what ml trains.
ALSO_ALLOWED = {"valuation": frozenset({"ml"})}

# A file's height in its room, by the last word of its name, one or many ("listing_store" is a
# store, "sagas" and "draw_saga" are sagas). A file may reach, directly or through others, what is
# as high as itself or lower. Files of other names are parts of the trade, and as high as whatever
# they reach. `consumers` and `rpc` are doors side by side: neither reaches the other.
HEIGHTS = {
    "main": 8,
    "definition": 7,
    "rpc": 6,
    "consumer": 6,
    "saga": 5,
    "handler": 4,
    "client": 4,
    "store": 3,
    "lifecycle": 2,
    "setting": 2,
    "model": 1,
    "error": 0,
}
DOORS = frozenset({"rpc", "consumer"})

Breach: TypeAlias = tuple[str, ...]  # modules, each importing the next


class RoomsApart(Contract):
    """Services share kit, finmath, iso15143 and the contract, and nothing else."""

    type_name = "rooms_apart"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002
        """Look at every import between two parts."""
        breaches = [
            (importer, imported)
            for importer in sorted(graph.modules)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not _may_import(importer, imported)
        ]
        return ContractCheck(kept=not breaches, metadata={"breaches": breaches})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each forbidden import."""
        _print(check)


class RoomLayers(Contract):
    """In a room: rpc and consumers > sagas > handlers > store > lifecycle > model > errors."""

    type_name = "room_layers"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002
        """Look at everything that each file of a room reaches within the room."""
        breaches = [breach for room in _rooms(graph) for breach in _breaches(graph, room)]
        return ContractCheck(kept=not breaches, metadata={"breaches": breaches})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each chain of imports that leads upwards."""
        _print(check)


def _may_import(importer: str, imported: str) -> bool:
    """Whether one module may import another directly."""
    from_part, to_part = _part(importer), _part(imported)
    if from_part == to_part or from_part in {"infra", "tests", ROOMS}:
        return True
    if to_part not in {"ml", "infra", "tests"} and not imported.startswith(f"{ROOMS}."):
        return True
    if from_part in SHARED or from_part == "ml":
        return False
    return to_part in SHARED | ALSO_ALLOWED.get(from_part, frozenset())


def _part(module: str) -> str:
    """Return the room of a module of the services, else its first package."""
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] or first if first == ROOMS else first


def _rooms(graph: ImportGraph) -> Iterator[str]:
    for room in sorted(graph.find_children(ROOMS)):
        if _part(room) not in SHARED:
            yield room


def _breaches(graph: ImportGraph, room: str) -> Iterator[Breach]:
    files = {module: _role(module) for module in graph.find_descendants(room)}
    for importer, role in sorted(files.items()):
        reached = graph.find_upstream_modules(importer) & files.keys()
        for imported in sorted(reached):
            if _leads_up(role, files[imported]):
                chain = graph.find_shortest_chain(importer, imported)
                assert chain is not None
                yield chain


def _role(module: str) -> str:
    return module.rpartition(".")[2].strip("_").rpartition("_")[2].removesuffix("s")


def _leads_up(importer: str, imported: str) -> bool:
    if {importer, imported} == DOORS:
        return True
    # A part of the trade without a height of its own stays below the doors.
    height = HEIGHTS.get(importer, HEIGHTS["saga"])
    return HEIGHTS.get(imported, 0) > height


def _print(check: ContractCheck) -> None:
    for breach in check.metadata["breaches"]:
        output.print_error(" imports ".join(breach))
