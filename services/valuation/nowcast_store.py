"""All SQL of the nowcast."""

from services.kit.connection import Connection
from services.valuation.label_model import Label
from services.valuation.nowcast_model import MonthSums


async def count_label(connection: Connection, label: Label) -> None:
    """Add a label to the sums of its month; the transaction is the one that makes it a label."""
    await connection.execute(
        """
        insert into nowcast_month as kept (model, product_group, month, sales, total, squares)
        values ($1, $2, date_trunc('month', $3::date), 1, -$4::float8, $4 * $4)
        on conflict (model, product_group, month) do update
            set sales = kept.sales + 1, total = kept.total + excluded.total,
                squares = kept.squares + excluded.squares
        """,
        label.model,
        label.product_group,
        label.sale.sold_on,
        label.log_error,
    )


async def list_sums(connection: Connection, model: str) -> list[MonthSums]:
    """Return every month's sums under a model: a row a month and product group."""
    rows = await connection.fetch(
        """
        select product_group, month, sales, total, squares from nowcast_month
        where model = $1 order by month, product_group
        """,
        model,
    )
    return [MonthSums(**row) for row in rows]
