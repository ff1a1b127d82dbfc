"""Settlement's own commands: `python -m services.settlement partitions`, `… verify` and
`… republish`.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from datetime import UTC, date, datetime

from rich.console import Console
from rich.table import Table

from services.kit.commands import ServiceCommand
from services.kit.kafka_log import KafkaEventLog
from services.kit.runtime import Runtime
from services.settlement import partitions
from services.settlement.partitions import Partition
from services.settlement.republish import BrokerSilent, republish
from services.settlement.verify import Broker, Verdict, verify


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


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(
            f'"{text}" is no instant; write it like 2026-07-01 or 2026-07-01T08:00+08:00'
        ) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _verify_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        type=_instant,
        metavar="INSTANT",
        help="read only commits from this instant on, domain time; sums are always whole",
    )


async def run_verify(runtime: Runtime, arguments: Namespace) -> int:
    """Prove what the ledger holds; 1 with the first offending ids where something is wrong."""
    settings = runtime.settings
    broker = Broker(settings.kafka_bootstrap, settings.kafka_prefix)
    verdicts = await verify(runtime.database, broker, since=arguments.since, say=_say)
    console = Console()
    console.print(_verdict_table(verdicts))
    wrong = [verdict for verdict in verdicts if verdict.findings]
    for verdict in wrong:
        console.print(f"\n{verdict.check}: no", highlight=False)
        for finding in verdict.findings:
            console.print(f"  {finding.subject} {finding.problem}", highlight=False)
    return 1 if wrong else 0


def _verdict_table(verdicts: Sequence[Verdict]) -> Table:
    table = Table("check", "looked at", "seconds", "verdict", title="Proof of the ledger")
    for verdict in verdicts:
        table.add_row(
            verdict.check,
            verdict.counted,
            f"{verdict.seconds:.1f}",
            "[red]broken" if verdict.findings else "[green]holds",
        )
    return table


def _republish_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        type=_instant,
        metavar="INSTANT",
        required=True,
        help="publish the events of commits from this instant on, domain time",
    )


async def run_republish(runtime: Runtime, arguments: Namespace) -> int:
    """Publish events again; 1 where some could not be made as they were committed."""
    settings = runtime.settings
    console = Console()
    if not settings.kafka_bootstrap:
        console.print("no broker is set: IRONLOOP_SETTLEMENT_KAFKA_BOOTSTRAP")
        return 1
    log = KafkaEventLog(
        settings.kafka_bootstrap, client_id="settlement-republish", prefix=settings.kafka_prefix
    )
    try:
        done = await republish(runtime.database, log, since=arguments.since, say=_say)
    except BrokerSilent as error:
        console.print(f"the broker does not take them: {error}")
        return 1
    finally:
        await log.close()
    console.print(f"{done.events:,} events published again")
    for line in done.unlike:
        console.print(f"  not published: {line}", highlight=False)
    return 1 if done.unlike else 0


def _say(line: str) -> None:
    print(f"… {line}", file=sys.stderr, flush=True)


COMMANDS = (
    ServiceCommand(
        "partitions",
        "make the partitions of the coming months, detach old ones, list all",
        run_partitions,
        _partition_arguments,
    ),
    ServiceCommand(
        "verify",
        "prove that accounts, holds, commits and events agree with the transfers",
        run_verify,
        _verify_arguments,
    ),
    ServiceCommand(
        "republish",
        "publish the events of past commits again, for a broker that lost its log",
        run_republish,
        _republish_arguments,
    ),
)
