"""Settlement's own commands: `python -m services.settlement partitions`."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, date, datetime

from rich.console import Console
from rich.table import Table

from services.kit.commands import ServiceCommand
from services.kit.runtime import Runtime
from services.settlement import partitions
from services.settlement.partitions import Partition


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise ArgumentTypeError(f'"{text}" is no month; write it like 2026-07') from error


def _partition_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--detach-before",
        type=_month,
        metavar="YYYY-MM",
        help="detach the months before this one, the oldest first",
    )


async def run_partitions(runtime: Runtime, arguments: Namespace) -> int:
    """Make the partitions that are missing, detach old ones, and list all; 1 if one stays."""
    database = runtime.database
    await database.run(partitions.make_ahead)
    async with database.read() as connection:
        known = await partitions.list_all(connection)
    console = Console()
    problem = None
    for partition in known:
        before = arguments.detach_before
        if before is None or partition.month >= before or partition.state == "DETACHED":
            continue
        problem = await _detach(runtime, partition, console)
        if problem is not None:
            console.print(f"{partition.name} stays attached: {problem}")
            break
    async with database.read() as connection:
        console.print(_table(await partitions.list_all(connection)))
    return 1 if problem else 0


async def _detach(runtime: Runtime, partition: Partition, console: Console) -> str | None:
    """Detach one partition and return None, or return why it stays."""
    database = runtime.database
    problem = await database.run(lambda tx: partitions.close(tx.connection, partition))
    if problem is not None:
        return problem
    count = await database.run(lambda tx: partitions.detach(tx.connection, partition))
    console.print(f"{partition.name} detached with {count:,} transfers; archive and drop the table")
    return None


def _table(known: list[Partition]) -> Table:
    table = Table("month (UTC)", "table", "state", title="Partitions of transfers")
    for partition in known:
        table.add_row(f"{partition.month:%Y-%m}", partition.name, partition.state)
    return table


COMMANDS = (
    ServiceCommand(
        "partitions",
        "make the partitions of the coming months, detach old ones, list all",
        run_partitions,
        _partition_arguments,
    ),
)
