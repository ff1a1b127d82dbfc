"""`docs/events.md` from the code's own tables: `python -m infra.gate.events_page [--check]`.

Topics and keys come from the contract, producers and consumers from the services' definitions.
"""

import argparse
import importlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message
from ironloop.kit.v1 import operator_pb2

from services.kit.contract import event_of, event_types
from services.kit.service import ServiceDefinition

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "events.md"

HEAD = """# Events

Made by `python -m infra.gate.events_page` from the contract and the services' definitions: do not edit.

An event is a protobuf message of the contract, written to its service's outbox in the transaction
of the fact that it tells, and published in CloudEvents binary mode. The record's key is the
aggregate's resource name; `sequence` counts a key's events from 1 without gaps. An event that a
consumer cannot apply goes to the topic with `.dlq` at its end.
"""  # noqa: E501  (a line of the page)


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event of the contract.

    Attributes:
        key: The field whose value is the record's key.
        producers: The services that emit it.
        consumers: The services that apply it.
    """

    topic: str
    key: str
    event: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with --check say whether it is fresh."""
    parser = argparse.ArgumentParser(prog="python -m infra.gate.events_page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it is stale")
    page = render(event_lines(definitions()))
    if not parser.parse_args(arguments).check:
        PAGE.write_text(page)
        return 0
    if PAGE.exists() and PAGE.read_text() == page:
        return 0
    print(f"{PAGE.relative_to(ROOT)} is stale: run python -m infra.gate.events_page")
    return 1


def definitions() -> list[ServiceDefinition]:
    """Return the definition of every service, by name."""
    found = []
    for file in sorted((ROOT / "services").glob("*/definition.py")):
        module = importlib.import_module(f"services.{file.parent.name}.definition")
        found.append(module.DEFINITION)
    return found


def event_lines(services: Iterable[ServiceDefinition]) -> list[EventLine]:
    """Return a line for every event of the contract, by topic and event."""
    known = list(services)
    lines = []
    for event in event_types():
        declared = event_of(event.DESCRIPTOR)
        lines.append(
            EventLine(
                declared.topic,
                declared.key,
                event.DESCRIPTOR.full_name,
                tuple(service.name for service in known if event in produced_by(service)),
                tuple(service.name for service in known if event in service.consumes),
            )
        )
    return sorted(lines, key=lambda line: (line.topic, line.event))


def produced_by(service: ServiceDefinition) -> set[type[Message]]:
    """Return what a service emits; one that has sagas also reports those that are stuck."""
    return {*service.produces, *([operator_pb2.SagaStuck] if service.sagas else [])}


def render(lines: Iterable[EventLine]) -> str:
    """Return the page."""
    rows = [
        f"| `{line.topic}` | `{line.key}` | `{line.event.removeprefix('ironloop.')}` "
        f"| {', '.join(line.producers)} | {', '.join(line.consumers) or '–'} |"
        for line in lines
    ]
    table = ["| Topic | Key | Event | Producer | Consumers |", "|---|---|---|---|---|", *rows]
    return HEAD + "\n" + "\n".join(table) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
