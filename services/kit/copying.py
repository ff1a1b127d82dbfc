"""COPY in, with work of one's own done while PostgreSQL takes the rows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Literal, TypeVar

from services.kit.connection import Connection

Made = TypeVar("Made")


async def copy_while(
    connection: Connection,
    table: str,
    chunks: Iterable[bytes],
    *,
    columns: Sequence[str],
    form: Literal["text", "binary"],
    meanwhile: Callable[[], Made],
) -> Made:
    """Write rows by COPY and return what `meanwhile` returns.

    Args:
        chunks: The rows in COPY's `form`. PostgreSQL takes each as soon as it is made.
        meanwhile: Called once all chunks are on their way, while PostgreSQL works on them.

    Raises:
        asyncpg.PostgresError: What PostgreSQL refuses.
    """
    sent = asyncio.Event()

    async def each() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        sent.set()

    copying = asyncio.create_task(
        connection.copy_to_table(table, source=each(), columns=list(columns), format=form)
    )
    copying.add_done_callback(lambda _: sent.set())
    try:
        await sent.wait()
        made = meanwhile()
    finally:
        await copying
    return made
