from pathlib import Path

from loadtests.journal import (
    UNKNOWN,
    Journal,
    JournalledCommand,
    JournalledTransfer,
    read_commands,
    read_transfers,
)
from services.kit.ids import new_id


def test_what_was_journalled_is_read_as_it_was(tmp_path: Path) -> None:
    transfers = [
        JournalledTransfer(new_id(), 1_000_000_000_001, 1_000_000_000_002, 10**15, code)
        for code in (1, 2, 67, UNKNOWN)
    ]
    command = JournalledCommand(str(new_id()), "PayInstalment", "leases/x", "OK", [100, 100, 100])
    journal = Journal(tmp_path)
    for transfer in transfers:
        journal.transfer(transfer)
    journal.command(command)
    journal.close()
    assert [entry for part in read_transfers(tmp_path) for entry in part] == transfers
    assert read_commands(tmp_path) == [command]
