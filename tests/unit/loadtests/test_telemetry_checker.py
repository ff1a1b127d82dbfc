"""What streams were told of telemetry, held against what is kept."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from loadtests.journal import JournalledCommand
from loadtests.telemetry_checker import INGEST, check_telemetry, told_instants

AT = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Found:
    """Keeps what is found."""

    counted: str = ""
    problems: list[str] = field(default_factory=list)

    def find(self, problem: str) -> None:
        """Keep a problem."""
        self.problems.append(problem)


def sent(machines: int, stored: int, *, refused: int = 0, outcome: str = "OK") -> JournalledCommand:
    effects = [f"{stored} {refused}"] if outcome == "OK" else []
    return JournalledCommand("id", INGEST, f"{AT.isoformat()} {machines}", outcome, effects)


def problems(commands: list[JournalledCommand], kept: int) -> list[str]:
    found = Found()
    check_telemetry(found, commands, {AT: kept})
    return found.problems


def test_what_was_told_must_be_kept_neither_more_nor_less() -> None:
    commands = [sent(10, 60), sent(5, 30)]
    assert told_instants(commands) == [AT]
    assert problems(commands, 90) == []
    assert len(problems(commands, 89)) == 1
    assert len(problems(commands, 91)) == 1


def test_what_was_never_answered_may_be_kept_or_not() -> None:
    commands = [sent(10, 60), sent(5, 0, outcome="")]
    assert problems(commands, 60) == problems(commands, 75) == problems(commands, 90) == []
    assert len(problems(commands, 91)) == 1


def test_a_reading_that_was_refused_is_a_problem() -> None:
    assert len(problems([sent(10, 59, refused=1)], 59)) == 1
