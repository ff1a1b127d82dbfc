"""The house rules of the design's style page, checked on the syntax tree of the code itself."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("services", "infra", "ml", "loadtests")
FUNCTION_LINES_MAX = 70

# Where floats belong: models, root finding, the solver, real time and measurements.
FLOAT_ROOMS = ("services/kit/", "services/valuation/", "services/clearing/", "services/iso15143/")
FLOAT_FILES = ("services/finmath/irr.py", "services/finmath/roots.py")
# Transfer ids carry wall time or business time (ADR 0005), so the ledger knows both.
WALL_TIME_FILES = ("services/settlement/partitions.py", "services/settlement/posting.py")
# Upkeep of the database itself: it is nothing but SQL.
SQL_FILES = ("services/settlement/partitions.py", "services/settlement/verify.py")

# Real time that is a length of waiting, not money.
SECONDS = re.compile(
    r".*_(S|MS|SECONDS)$|.*_s$|seconds|timeout|interval|delay|deadline", re.IGNORECASE
)

SQL = re.compile(
    r"^\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|with\s+\w+\s+as\s*\()",
    re.IGNORECASE | re.DOTALL,
)


def sources(*folders: str) -> list[Path]:
    """Return the Python files below some folders."""
    return sorted(
        file
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        if "build" not in file.parts
    )


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def nodes(file: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(file.read_text(), filename=str(file)))


def offences(files: list[Path], is_one: Callable[[ast.AST], str]) -> list[str]:
    """Return where a check finds something, as file:line and what."""
    found = []
    for file in files:
        for node in nodes(file):
            if what := is_one(node):
                found.append(f"{relative(file)}:{getattr(node, 'lineno', 0)} {what}")
    return found


def dotted(node: ast.AST) -> str:
    """Return a name with its dots, for example "datetime.now"."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_only_the_kit_begins_and_ends_transactions() -> None:
    statement = re.compile(r"\s*(begin|commit|rollback|savepoint)\b.*", re.I | re.S)

    def is_one(node: ast.AST) -> str:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            return ""
        if node.func.attr in ("transaction", "commit", "rollback"):
            return f"calls .{node.func.attr}()"
        texts = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
        is_statement = node.func.attr == "execute" and any(
            isinstance(text, str) and statement.match(text) for text in texts
        )
        return "executes a transaction statement" if is_statement else ""

    files = [file for file in sources("services") if not relative(file).startswith("services/kit/")]
    assert not offences(files, is_one)


def test_no_time_is_naive() -> None:
    def is_one(node: ast.AST) -> str:
        if not isinstance(node, ast.Call):
            return ""
        name = dotted(node.func)
        zoned = bool(node.args) or any(keyword.arg in ("tz", "tzinfo") for keyword in node.keywords)
        if name.endswith(("datetime.utcnow", "datetime.utcfromtimestamp")):
            return f"calls {name}"
        if name.endswith("datetime.now") and not zoned:
            return "calls datetime.now() without a zone"
        if name.endswith("datetime.fromtimestamp") and len(node.args) < 2 and not node.keywords:
            return "calls datetime.fromtimestamp() without a zone"
        return ""

    assert not offences(sources(*ROOMS, "tests"), is_one)


def test_business_code_asks_its_clock_for_the_time() -> None:
    asked = ("date.today", "datetime.now", "datetime.today")

    def is_one(node: ast.AST) -> str:
        name = dotted(node.func) if isinstance(node, ast.Call) else ""
        return f"calls {name}" if name.endswith(asked) else ""

    files = [
        file
        for file in sources("services")
        if not relative(file).startswith(("services/kit/", "services/console/"))
        and relative(file) not in WALL_TIME_FILES
    ]
    assert not offences(files, is_one)


def test_sql_never_asks_the_server_for_domain_time() -> None:
    clock = re.compile(r"\b(now\(\)|current_date|current_timestamp|localtime)", re.IGNORECASE)

    def is_one(node: ast.AST) -> str:
        text = node.value if isinstance(node, ast.Constant) else None
        is_sql = isinstance(text, str) and SQL.match(text)
        return "asks PostgreSQL for the time" if is_sql and clock.search(str(text)) else ""

    files = [file for file in sources("services") if not relative(file).startswith("services/kit/")]
    assert not offences(files, is_one)


def test_money_is_never_a_float() -> None:
    def assigned(node: ast.AST) -> Iterator[ast.AST]:
        """Yield what is given to a name that says it is a length of time."""
        if isinstance(node, ast.Assign) and all(SECONDS.match(dotted(n)) for n in node.targets):
            yield from ast.walk(node.value)
        if isinstance(node, ast.AnnAssign) and SECONDS.match(dotted(node.target)):
            yield from ast.walk(node)
        if isinstance(node, ast.keyword) and node.arg and SECONDS.match(node.arg):
            yield from ast.walk(node.value)
        if isinstance(node, ast.arg) and SECONDS.match(node.arg) and node.annotation:
            yield from ast.walk(node.annotation)

    found = []
    for file in sources("services"):
        path = relative(file)
        if path.startswith(FLOAT_ROOMS) or path in FLOAT_FILES:
            continue
        allowed = {id(part) for node in nodes_of(file) for part in assigned(node)}
        for node in nodes_of(file):
            is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            is_name = isinstance(node, ast.Name) and node.id == "float"
            if (is_literal or is_name) and id(node) not in allowed:
                found.append(f"{path}:{node.lineno} holds a float")  # type: ignore[attr-defined]
    assert not found


_TREES: dict[Path, list[ast.AST]] = {}


def nodes_of(file: Path) -> list[ast.AST]:
    """Return a file's nodes, the same objects each time."""
    if file not in _TREES:
        _TREES[file] = list(nodes(file))
    return _TREES[file]


def test_all_sql_stands_in_store_files() -> None:
    def is_one(node: ast.AST) -> str:
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        return "holds SQL" if is_text and SQL.match(node.value) else ""  # type: ignore[attr-defined]

    files = [
        file
        for file in sources("services")
        if not relative(file).startswith("services/kit/")
        and not file.stem.endswith("store")
        and relative(file) not in SQL_FILES
    ]
    assert not offences(files, is_one)


@pytest.mark.parametrize("folder", ROOMS)
def test_no_function_outgrows_a_screen(folder: str) -> None:
    def is_one(node: ast.AST) -> str:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return ""
        lines = (node.end_lineno or 0) - node.lineno + 1
        return f"{node.name} has {lines} lines" if lines > FUNCTION_LINES_MAX else ""

    assert not offences(sources(folder), is_one)


def test_nothing_is_left_to_do_in_the_code() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [
        f"{relative(file)}:{number}"
        for file in [*sources(*ROOMS), *(ROOT / "proto").rglob("*.proto")]
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if marks.search(line) and not line.lstrip().startswith(('"', "'"))
    ]
    assert not found


def test_nothing_works_at_import() -> None:
    """A module makes constants; it opens nothing, asks nobody and hashes nothing."""
    heavy = ("open", "connect", "run", "hash", "get_event_loop", "create_pool", "urlopen")

    def calls(tree: ast.Module) -> Iterator[ast.Call]:
        for statement in tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr):
                yield from (node for node in ast.walk(statement) if isinstance(node, ast.Call))

    found = []
    for file in sources("services"):
        if file.name == "__main__.py":
            continue
        for call in calls(ast.parse(file.read_text())):
            if dotted(call.func).rpartition(".")[2] in heavy:
                found.append(f"{relative(file)}:{call.lineno} calls {dotted(call.func)}")
    assert not found


def test_services_do_not_import_each_other() -> None:
    shared = {"kit", "finmath", "iso15143"}
    found = []
    for file in sources("services"):
        room = file.relative_to(ROOT / "services").parts[0]
        for node in nodes_of(file):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            for name in names:
                parts = name.split(".")
                if parts[0] == "services" and len(parts) > 1 and parts[1] not in {room, *shared}:
                    found.append(f"{relative(file)}:{node.lineno} imports {name}")  # type: ignore[attr-defined]
    assert not found


def test_no_test_sleeps_instead_of_waiting_for_a_condition() -> None:
    """A sleep stands only in a loop that looks for something, or is the slow thing tested."""
    found = []
    for file in sources("tests"):
        tree = ast.parse(file.read_text())
        loops = [node for node in ast.walk(tree) if isinstance(node, ast.While)]
        in_loops = {id(part) for loop in loops for part in ast.walk(loop)}
        for node in ast.walk(tree):
            is_sleep = isinstance(node, ast.Call) and dotted(node.func) == "time.sleep"
            if is_sleep and id(node) not in in_loops:
                found.append(f"{relative(file)}:{node.lineno} sleeps")  # type: ignore[attr-defined]
    assert not found


def test_every_room_has_the_same_file_names() -> None:
    """A room says what it is: a definition, an entry of few lines, its own migrations."""
    for definition in (ROOT / "services").glob("*/definition.py"):
        room = definition.parent
        entry = room / "__main__.py"
        assert entry.exists(), f"{room.name} cannot be started"
        assert len(entry.read_text().splitlines()) <= 40, f"{relative(entry)} is no mere entry"
        assert list((room / "migrations").glob("*.sql")), f"{room.name} has no migrations"
        assert (room / "rpc.py").exists() or list(room.glob("*_rpc.py")), f"{room.name} has no rpc"
