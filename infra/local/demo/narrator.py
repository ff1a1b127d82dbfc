"""What the demo says while it runs: who did what, and what it moved."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

WIDTH = 110


class Narrator:
    """Prints acts and lines; one line a step."""

    def __init__(self) -> None:
        self.console = Console(width=WIDTH, highlight=False)
        self._started_s = time.monotonic()

    @contextmanager
    def act(self, title: str) -> Iterator[None]:
        """Frame the steps of the block by a heading and how long they took."""
        started_s = time.monotonic()
        self.console.print(f"\n[bold]{title}[/bold]")
        yield
        self.console.print(f"[dim]  {time.monotonic() - started_s:.1f} s[/dim]")

    def tell(self, who: str, what: str) -> None:
        """Print one step."""
        self.console.print(f"  [cyan]{who:<13}[/cyan] {what}", soft_wrap=True)

    def elapsed_s(self) -> float:
        """Return how long the demo has run."""
        return time.monotonic() - self._started_s
