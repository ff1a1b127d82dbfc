"""Writes a fleet page as XML; reading it gives the same fleet back."""

from datetime import datetime
from typing import Any

from lxml import etree

from services.iso15143.elements import ELEMENTS, Parts, stamp, write_header
from services.iso15143.model import Equipment, Fleet

NAMESPACE = "http://standards.iso.org/iso/15143/-3"


def write_page(fleet: Fleet) -> bytes:
    """Return a page in UTF-8."""
    default_namespace: Any = {None: NAMESPACE}
    root = etree.Element(_tag("Fleet"), nsmap=default_namespace)
    if fleet.version is not None:
        root.set("version", fleet.version)
    if fleet.snapshot_time is not None:
        root.set("snapshotTime", stamp(fleet.snapshot_time))
    for link in fleet.links:
        _add(root, "Links", [("rel", link.rel), ("href", link.href)])
    for equipment in fleet.equipment:
        _add_equipment(root, equipment)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def _add_equipment(root: Any, equipment: Equipment) -> None:
    node = etree.SubElement(root, _tag("Equipment"))
    _add(node, "EquipmentHeader", write_header(equipment.header))
    for element in ELEMENTS:
        value = getattr(equipment, element.attribute)
        if value is None:
            continue
        for one in value if element.many else (value,):
            _add(node, element.tag, element.write(one), read_at=one.read_at)


def _add(parent: Any, tag: str, parts: Parts, *, read_at: datetime | None = None) -> None:
    node = etree.SubElement(parent, _tag(tag))
    if read_at is not None:
        node.set("datetime", stamp(read_at))
    for name, text in parts:
        etree.SubElement(node, _tag(name)).text = text


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
