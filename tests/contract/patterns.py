"""Texts that match a regular expression of the contract."""

import random
from collections.abc import Callable, Iterator
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

REPEATS_MAX = 8  # beyond the least number that a pattern asks for


def text_matching(pattern: str, dice: random.Random) -> str:
    """Return a text that matches."""
    return "".join(_texts(parser.parse(pattern), dice))


def _texts(tree: Any, dice: random.Random) -> Iterator[str]:
    for code, argument in tree:
        yield _WAYS.get(code, _nothing)(argument, dice)


def _nothing(_: Any, __: random.Random) -> str:
    return ""  # an anchor


def _literal(argument: int, _: random.Random) -> str:
    return chr(argument)


def _one_of(choices: Any, dice: random.Random) -> str:
    if choices[0][0] is codes.NEGATE:
        return "x"
    kind, argument = dice.choice(choices)
    if kind is codes.RANGE:
        return chr(dice.randint(*argument))
    return "7" if kind is codes.CATEGORY else chr(argument)


def _repeated(argument: Any, dice: random.Random) -> str:
    least, most, inner = argument
    count = dice.randint(least, min(int(most), least + REPEATS_MAX))
    return "".join("".join(_texts(inner, dice)) for _ in range(count))


def _group(argument: Any, dice: random.Random) -> str:
    return "".join(_texts(argument[-1], dice))


def _branch(argument: Any, dice: random.Random) -> str:
    return "".join(_texts(dice.choice(argument[1]), dice))


_WAYS: dict[Any, Callable[[Any, random.Random], str]] = {
    codes.LITERAL: _literal,
    codes.IN: _one_of,
    codes.MAX_REPEAT: _repeated,
    codes.MIN_REPEAT: _repeated,
    codes.SUBPATTERN: _group,
    codes.BRANCH: _branch,
    codes.ANY: lambda _, __: "x",
    codes.NOT_LITERAL: lambda argument, _: "y" if chr(argument) == "x" else "x",
}
