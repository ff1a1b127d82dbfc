"""What the demo says while it runs: who did what, and what it moved."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

WIDTH = 118
WHO_WIDTH = 14


class Narrator:
    """Prints acts and lines; one line a step.

    Attributes:
        acts_s: How long each act took, by its heading.
    """

    def __init__(self) -> None:
        self.console = Console(width=WIDTH, highlight=False)
        self.acts_s: dict[str, float] = {}
        self._started_s = time.monotonic()

    @contextmanager
    def act(self, title: str) -> Iterator[None]:
        """Frame the steps of the block by a heading and how long they took."""
        started_s = time.monotonic()
        self.console.print(f"\n[bold]{title}[/bold]")
        yield
        self.acts_s[title] = round(time.monotonic() - started_s, 1)
        self.console.print(f"[dim]  {self.acts_s[title]:.1f} s[/dim]")

    def tell(self, who: str, what: str) -> None:
        """Print one step."""
        self.console.print(f"  [cyan]{who:<{WHO_WIDTH}}[/cyan] {what}", soft_wrap=True)

    def elapsed_s(self) -> float:
        """Return how long the demo has run."""
        return time.monotonic() - self._started_s
