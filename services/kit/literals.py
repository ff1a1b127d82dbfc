"""Values written into a statement's text, where it must travel with another one.

Statements that travel together take no parameters. Everything else passes parameters.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID


def literal(value: Any) -> str:  # noqa: PLR0911  (one return a type)
    """Return a value as PostgreSQL reads it with standard_conforming_strings on, its default.

    Raises:
        TypeError: It is of a type that has no literal here.
        ValueError: A text holds NUL, which PostgreSQL has no way to store.
    """
    match value:
        case None:
            return "null"
        case str():
            return _quoted(value)
        case int() if not isinstance(value, bool):
            return str(value) if value >= 0 else f"({value})"  # "--" would begin a comment
        case date():  # a datetime is one too
            return f"'{value.isoformat()}'"
        case bytes():
            return f"'\\x{value.hex()}'"
        case UUID():
            return f"'{value}'"
        case Mapping():
            return _quoted(json.dumps(value))
        case list() if not value:
            return "'{}'"  # array[] would need a type
        case list():
            return f"array[{','.join(literal(item) for item in value)}]"
    raise TypeError(f"no literal for a {type(value).__name__}")


def _quoted(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text must not hold U+0000")
    return "'" + text.replace("'", "''") + "'"
