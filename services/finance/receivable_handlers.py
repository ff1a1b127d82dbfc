"""Receivables, one transaction a command."""

from collections.abc import Sequence
from dataclasses import replace

from services.finance import receivable_events, receivable_store
from services.finance.lifecycle import RECEIVABLE
from services.finance.receivable_model import Receivable
from services.kit.errors import InvalidArgument, NotFound
from services.kit.transaction import Transaction


async def confirm_receivables(
    tx: Transaction, lease: str, *, from_number: int, to_number: int, debtor: str
) -> list[Receivable]:
    """Sign amount and due date of a run of instalments (确权); those signed stay as they are.

    Raises:
        InvalidArgument: The run ends before it begins.
        NotFound: The debtor owes no such instalment.
        TransitionRefused: One is past being confirmed.
    """
    run = await lock_run(
        tx, lease, from_number=from_number, to_number=to_number, party=debtor, as_debtor=True
    )
    fresh = []
    for line in run:
        step = RECEIVABLE.next(line.state, "confirm", subject=line.name)
        if step.target is not line.state:
            fresh.append(replace(line, state=step.target))
    confirmed = await receivable_store.update_receivables(tx.connection, fresh, at=tx.now, events=1)
    for line in confirmed:
        await tx.emit(receivable_events.confirmed(line))
    by_number = {line.number: line for line in (*run, *confirmed)}
    return [by_number[line.number] for line in run]


async def lock_run(
    tx: Transaction,
    lease: str,
    *,
    from_number: int,
    to_number: int,
    party: str,
    as_debtor: bool,
) -> list[Receivable]:
    """Return a whole run of a party's receivables, locked.

    Raises:
        InvalidArgument: The run ends before it begins.
        NotFound: The party is neither debtor nor creditor of one of them, as asked.
    """
    if to_number < from_number:
        raise InvalidArgument("to_number", f"must not be below from_number, {from_number}")
    run = await receivable_store.lock_run_of(
        tx.connection,
        lease,
        from_number=from_number,
        to_number=to_number,
        party=party,
        as_debtor=as_debtor,
    )
    if len(run) != to_number - from_number + 1:
        raise NotFound(f"{lease}, instalments {from_number} to {to_number}")
    return run


async def advance(
    tx: Transaction,
    lines: Sequence[Receivable],
    command: str,
    *,
    owner: str | None = None,
    registry_no: str | None = None,
    is_free: bool = False,
) -> list[Receivable]:
    """Take a step with receivables of one state, each with an event where the step announces one.

    Raises:
        TransitionRefused: Their state has no such step.
    """
    if not lines:
        return []
    steps = [RECEIVABLE.next(line.state, command, subject=line.name) for line in lines]
    moved = [
        replace(
            line,
            state=step.target,
            owner=line.owner if owner is None else owner,
            registry_no=line.registry_no if registry_no is None else registry_no,
            factoring_id=None if is_free else line.factoring_id,
        )
        for line, step in zip(lines, steps, strict=True)
    ]
    return await receivable_store.update_receivables(
        tx.connection, moved, at=tx.now, events=1 if steps[0].event else 0
    )
