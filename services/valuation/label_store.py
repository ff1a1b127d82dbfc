"""All SQL of labels (sale prices), consents to them, and drift."""

from datetime import date, datetime

from services.kit.connection import Connection, Row
from services.valuation.label_model import Label, Sale, Segment


async def set_consent(connection: Connection, consent: str, party: str, *, is_active: bool) -> None:
    """Keep whether a consent holds."""
    await connection.execute(
        """
        insert into consent (consent, party, is_active) values ($1, $2, $3)
        on conflict (consent) do update set is_active = excluded.is_active
        """,
        consent,
        party,
        is_active,
    )


async def active_consent(connection: Connection, party: str) -> str:
    """Return a party's consent, or "" where it gives none."""
    consent: str | None = await connection.fetchval(
        "select consent from consent where party = $1 and is_active limit 1", party
    )
    return consent or ""


async def insert_sale(connection: Connection, sale: Sale, *, at: datetime) -> None:
    """Record a sale, once."""
    await connection.execute(
        """
        insert into label
            (order_name, machine, state, seller, sold_on, price_fen, hours_meter, record_time)
        values ($1, $2, 'RECORDED', $3, $4, $5, $6, $7) on conflict do nothing
        """,
        sale.order,
        sale.machine,
        sale.seller,
        sale.sold_on,
        sale.price_fen,
        sale.hours_meter,
        at,
    )


async def list_recorded(connection: Connection, *, until: datetime, limit: int) -> list[Sale]:
    """Return the sales recorded until an instant that are no labels yet, the oldest first."""
    rows = await connection.fetch(
        """
        select * from label where state = 'RECORDED' and record_time <= $1
        order by record_time limit $2
        """,
        until,
        limit,
    )
    return [_sale(row) for row in rows]


async def withhold(connection: Connection, sale: Sale) -> None:
    """Forget the price of a sale that must not be a label."""
    await connection.execute(
        """
        update label set state = 'WITHHELD', price_fen = null, hours_meter = null
        where order_name = $1 and machine = $2 and state = 'RECORDED'
        """,
        sale.order,
        sale.machine,
    )


async def complete(connection: Connection, label: Label, *, consent: str) -> bool:
    """Make a recorded sale a label; return whether it had not become one already."""
    done = await connection.execute(
        """
        update label set state = 'LABEL', consent = $3, specification = $4, product_group = $5,
            model = $6, fmv_fen = $7, log_error = $8, features = $9
        where order_name = $1 and machine = $2 and state = 'RECORDED'
        """,
        label.sale.order,
        label.sale.machine,
        consent,
        dict(label.specification),
        label.product_group,
        label.model,
        list(label.fmv_fen),
        label.log_error,
        dict(label.features),
    )
    return bool(done == "UPDATE 1")


async def list_labels(
    connection: Connection,
    *,
    since: date,
    until: date | None = None,
    group: str | None = None,
    model: str | None = None,
) -> list[Label]:
    """Return the labels of sales from a day on, until another one, the oldest first."""
    rows = await connection.fetch(
        """
        select * from label
        where state = 'LABEL' and sold_on >= $1 and ($2::text is null or product_group = $2)
          and ($3::text is null or model = $3) and ($4::date is null or sold_on <= $4)
        order by sold_on, order_name, machine
        """,
        since,
        group,
        model,
        until,
    )
    return [
        Label(
            _sale(row),
            row["specification"],
            row["product_group"],
            row["model"],
            tuple(row["fmv_fen"]),
            row["log_error"],
            row["features"],
        )
        for row in rows
    ]


async def list_months(
    connection: Connection, model: str, *, group: str | None, before: date | None, limit: int
) -> list[date]:
    """Return the first days of months with a model's labels, the newest first, before a month."""
    rows = await connection.fetch(
        """
        select distinct date_trunc('month', sold_on)::date as month from label
        where state = 'LABEL' and model = $1 and ($2::text is null or product_group = $2)
          and ($3::date is null or sold_on < $3)
        order by month desc limit $4
        """,
        model,
        group,
        before,
        limit,
    )
    return [row["month"] for row in rows]


async def list_segments(connection: Connection) -> list[Segment]:
    """Return every alarm that was ever assessed; there are few."""
    return [
        _segment(row)
        for row in await connection.fetch("select * from drift_segment order by segment")
    ]


async def lock_segment(connection: Connection, segment: str, *, at: datetime) -> Segment:
    """Return a segment's alarm, locked for change."""
    row = await connection.fetchrow(
        """
        insert into drift_segment (segment, update_time) values ($1, $2)
        on conflict (segment) do update set segment = excluded.segment returning *
        """,
        segment,
        at,
    )
    assert row is not None
    return _segment(row)


async def update_segment(connection: Connection, segment: Segment) -> None:
    """Write a locked segment's alarm."""
    await connection.execute(
        """
        update drift_segment set level = $2, event_sequence = $3, findings = $4, update_time = $5
        where segment = $1
        """,
        segment.segment,
        segment.level,
        segment.event_sequence,
        list(segment.findings),
        segment.update_time,
    )


def _segment(row: Row) -> Segment:
    return Segment(**{**row, "findings": tuple(row["findings"])})


def _sale(row: Row) -> Sale:
    return Sale(
        order=row["order_name"],
        machine=row["machine"],
        seller=row["seller"],
        sold_on=row["sold_on"],
        price_fen=row["price_fen"],
        hours_meter=row["hours_meter"],
    )
