"""Events: every topic has a schema, every event a producer, and the page is fresh."""

import pytest

from infra.gate import events_page
from services.kit.contract import event_of, event_topics, event_types

LINES = events_page.event_lines(events_page.definitions())


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.event)
def test_every_event_has_a_producer(line: events_page.EventLine) -> None:
    assert line.producers, f"nobody emits {line.event}"


def test_whatever_is_consumed_is_an_event_of_another_service() -> None:
    for service in events_page.definitions():
        for event in service.consumes:
            topic = event_of(event.DESCRIPTOR).topic
            assert topic in event_topics()
            assert not topic.startswith(f"{service.name}."), f"{service.name} hears itself"


def test_every_topic_has_a_schema_and_an_owner() -> None:
    for event in event_types():
        declared = event_of(event.DESCRIPTOR)
        package = event.DESCRIPTOR.file.package.split(".")[1]
        service, _, version = declared.topic.split(".")
        assert (service, version) == (package, "v1"), event.DESCRIPTOR.full_name


def test_only_its_own_service_emits_an_event() -> None:
    for line in LINES:
        owner = line.topic.partition(".")[0]
        assert owner == "kit" or set(line.producers) <= {owner}, line


def test_the_page_of_events_is_fresh() -> None:
    assert events_page.main(["--check"]) == 0


def test_a_key_is_a_text_of_the_event() -> None:
    for event in event_types():
        key = event_of(event.DESCRIPTOR).key
        assert event.DESCRIPTOR.fields_by_name[key].type == 9, event.DESCRIPTOR.full_name
