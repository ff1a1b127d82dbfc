"""SQL of passports: one row each, and its entries, which are added and never changed."""

from dataclasses import dataclass
from datetime import datetime

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.remanufacturing.passport_model import START, Entry


@dataclass(frozen=True, slots=True)
class Passport:
    """Where a passport stands.

    Attributes:
        holder: Who owns its subject, as far as events have told.
        maker: Who made the component; empty for a machine.
        machine: The machine that the component is in; empty otherwise.
        event_sequence: How many events we have told of a machine.
    """

    subject: str
    holder: str
    maker: str
    machine: str
    entry_count: int
    head_sha256: str
    event_sequence: int


async def lock_or_begin(connection: Connection, subject: str, *, at: datetime) -> Passport:
    """Return a passport, begun where there was none, locked for change."""
    await connection.execute(
        """
        insert into passport
            (subject, holder, maker, machine, entry_count, head_sha256, event_sequence,
             create_time, update_time)
        values ($1, '', '', '', 0, $2, 0, $3, $3) on conflict (subject) do nothing
        """,
        subject,
        START,
        at,
    )
    row = await connection.fetchrow(
        "select * from passport where subject = $1 for no key update", subject
    )
    assert row is not None
    return _passport(row)


async def add_entry(connection: Connection, subject: str, entry: Entry, *, at: datetime) -> None:
    """Write the next entry of a locked passport."""
    await connection.execute(
        "insert into passport_entry values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        subject,
        entry.number,
        entry.kind,
        datetime.fromisoformat(entry.time),
        dict(entry.public),
        dict(entry.private),
        entry.salt,
        entry.private_sha256,
        entry.previous_sha256,
        entry.sha256,
    )
    await connection.execute(
        "update passport set entry_count = $2, head_sha256 = $3, update_time = $4 "
        "where subject = $1",
        subject,
        entry.number,
        entry.sha256,
        at,
    )


async def set_holder(connection: Connection, subject: str, holder: str) -> None:
    """Note who owns a passport's subject."""
    await connection.execute("update passport set holder = $2 where subject = $1", subject, holder)


async def set_maker(connection: Connection, subject: str, maker: str) -> None:
    """Note who makes a component, who owns it until it is sold or installed."""
    await connection.execute(
        "update passport set maker = $2, holder = $2 where subject = $1", subject, maker
    )


async def set_machine(connection: Connection, subject: str, machine: str) -> None:
    """Note the machine that a component is in; whoever owns that owns the component."""
    await connection.execute(
        "update passport set machine = $2, holder = '' where subject = $1", subject, machine
    )


async def next_event_sequence(connection: Connection, subject: str) -> int:
    """Return the sequence of the next event that we tell of a machine; its passport is locked."""
    sequence: int = await connection.fetchval(
        """
        update passport set event_sequence = event_sequence + 1 where subject = $1
        returning event_sequence
        """,
        subject,
    )
    return sequence


async def find_passport(
    connection: Connection, subject: str, *, viewer: Principal
) -> tuple[Passport, bool] | None:
    """Return a passport that has entries, and whether the viewer may see its private facts."""
    row = await connection.fetchrow(
        """
        select p.*, $2 or ($3 <> '' and $3 in (p.holder, p.maker, m.holder)) as is_owners
        from passport p left join passport m on m.subject = p.machine and p.machine <> ''
        where p.subject = $1 and p.entry_count > 0
        """,
        subject,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else (_passport(row), bool(row["is_owners"]))


async def list_entries(connection: Connection, subject: str, *, up_to: int) -> list[Entry]:
    """Return the first `up_to` entries of a passport, in their order."""
    rows = await connection.fetch(
        "select * from passport_entry where subject = $1 and number <= $2 order by number",
        subject,
        up_to,
    )
    return [_entry(row) for row in rows]


async def find_link(connection: Connection, sha256: str) -> tuple[str, int, int] | None:
    """Return the subject and number of an entry by its hash, and how many entries there are."""
    row = await connection.fetchrow(
        """
        select e.subject, e.number, p.entry_count
        from passport_entry e join passport p using (subject) where e.sha256 = $1
        """,
        sha256,
    )
    return None if row is None else (row["subject"], row["number"], row["entry_count"])


async def list_identities(connection: Connection, subject: str) -> list[dict[str, str]]:
    """Return what a passport has said of its subject's identity, the last word last."""
    rows = await connection.fetch(
        """
        select public_facts -> 'identity' as identity from passport_entry
        where subject = $1 and public_facts ? 'identity' order by number
        """,
        subject,
    )
    return [row["identity"] for row in rows]


def _passport(row: Row) -> Passport:
    return Passport(**{field: row[field] for field in Passport.__slots__})


def _entry(row: Row) -> Entry:
    return Entry(
        number=row["number"],
        kind=row["kind"],
        time=row["entry_time"].isoformat(timespec="milliseconds"),
        public=row["public_facts"],
        private=row["private_facts"],
        salt=row["salt"],
        private_sha256=row["private_sha256"],
        previous_sha256=row["previous_sha256"],
        sha256=row["sha256"],
    )
