"""What the users of a load were told, written down for the checker.

Transfers as fixed records of 42 bytes, other commands as a line of JSON each.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

_RECORD = struct.Struct(">16sqqqH")
_RECORDS_READ_MAX = 10_000
UNKNOWN = 0  # the user never learned what became of it

TRANSFERS, COMMANDS = "transfers.bin", "commands.jsonl"


class JournalledTransfer(NamedTuple):
    """A transfer as it was sent, and the result code it was answered with, or UNKNOWN."""

    id: UUID
    debit_account: int
    credit_account: int
    amount_fen: int
    code: int


@dataclass(frozen=True, slots=True)
class JournalledCommand:
    """A command as it was sent, and what was answered.

    Attributes:
        method: The rpc's name.
        subject: What it was about.
        outcome: "OK", the reason of a definite refusal, or "" where it is not known.
        effects: Names or figures of its answers, one an answer; a command that was sent three
            times and answered three times has three.
    """

    request_id: str
    method: str
    subject: str
    outcome: str
    effects: list[Any]


class Journal:
    """Appends to the journal of a run."""

    def __init__(self, folder: Path) -> None:
        self._transfers = (folder / TRANSFERS).open("wb")
        self._commands = (folder / COMMANDS).open("w")

    def transfer(self, entry: JournalledTransfer) -> None:
        """Write a transfer down."""
        self._transfers.write(_RECORD.pack(entry.id.bytes, *entry[1:]))

    def command(self, entry: JournalledCommand) -> None:
        """Write a command down."""
        line = [entry.request_id, entry.method, entry.subject, entry.outcome, entry.effects]
        self._commands.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Write out what is buffered."""
        self._transfers.close()
        self._commands.close()


def read_transfers(folder: Path) -> Iterator[list[JournalledTransfer]]:
    """Yield the journalled transfers, some thousands at a time."""
    with (folder / TRANSFERS).open("rb") as file:
        while raw := file.read(_RECORD.size * _RECORDS_READ_MAX):
            yield [
                JournalledTransfer(UUID(bytes=identifier), *rest)
                for identifier, *rest in _RECORD.iter_unpack(raw)
            ]


def read_commands(folder: Path) -> list[JournalledCommand]:
    """Return the journalled commands."""
    lines = (folder / COMMANDS).read_text().splitlines()
    return [JournalledCommand(*json.loads(line)) for line in lines]
