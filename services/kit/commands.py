"""Commands of a service beside serving: `python -m services.<name> <command>`."""

from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.kit.runtime import Runtime


def _takes_nothing(_: ArgumentParser) -> None:
    """Add no argument."""


@dataclass(frozen=True, slots=True)
class ServiceCommand:
    """One command.

    Attributes:
        help: One line for --help.
        run: Does the work with the service's own settings and returns the exit code.
        add_arguments: Adds the command's arguments to its parser.
    """

    name: str
    help: str
    run: Callable[[Runtime, Namespace], Awaitable[int]]
    add_arguments: Callable[[ArgumentParser], None] = _takes_nothing
