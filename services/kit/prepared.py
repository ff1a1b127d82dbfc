"""Statements prepared once a connection, so that they travel in one text with others.

A text of several statements takes no parameters, and the server parses and plans each of them
anew. `execute` of a prepared one takes its arguments as literals and its plan from before.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple

import asyncpg

from services.kit.connection import Connection
from services.kit.literals import literal


class Call(NamedTuple):
    """A statement and its arguments; there are few statements, and any number of arguments."""

    statement: str
    arguments: Sequence[Any]


class Session(asyncpg.Connection):  # not generic when it runs
    """A connection that knows what was prepared on it.

    Attributes:
        prepared: The name of each statement.
        numbers: What the next names are made of; one whose preparation failed is not used again.
    """

    __slots__ = ("numbers", "prepared")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.prepared: dict[str, str] = {}
        self.numbers = count(1)


async def text_of(connection: Connection, call: Call) -> str:
    """Return the text that makes a call on a connection, whose statement is prepared by then.

    The first time it takes a round trip of its own. What is prepared outlives a rollback.

    Raises:
        TypeError, ValueError: As `literal`.
        asyncpg.PostgresError: The statement cannot be prepared.
    """
    session: Any = connection  # a Session, or the pool's proxy of one, which has its attributes
    name = session.prepared.get(call.statement)
    if name is None:
        name = f"call_{next(session.numbers)}"
        await connection.execute(f"prepare {name} as {call.statement}")
        session.prepared[call.statement] = name
    return f"execute {name}({','.join(map(literal, call.arguments))})"
