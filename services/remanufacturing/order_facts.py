"""What a component's passport says of its remanufacture: facts as JSON, numbers as text."""

from collections.abc import Sequence
from typing import Any

from services.remanufacturing.certificate_model import BenchRun, Certificate
from services.remanufacturing.family_model import PartFamily
from services.remanufacturing.order_model import Record, RemanOrder
from services.remanufacturing.part_model import OrderPart, counted


def of_core(order: RemanOrder, family: PartFamily) -> dict[str, Any]:
    """Return what is known of a core when it is queued."""
    identity = {
        "component": order.component,
        "title": family.content.title,
        "partFamily": family.name,
        "partNumber": order.part_number,
        "priorSerialNumber": order.prior_serial_number,
    }
    if order.prior_hours is not None:
        identity["priorHours"] = f"{order.prior_hours:f}"
    return {"identity": identity}


def of_record(record: Record) -> dict[str, Any]:
    """Return the digests of a step's documents, which prove them without showing them."""
    return {"documents": [document.sha256 for document in record.documents]}


def of_inspection(parts: Sequence[OrderPart]) -> dict[str, Any]:
    """Return how many parts have which disposition, and each part's."""
    return {
        "dispositions": dict(counted(parts)),
        "parts": {part.position: part.disposition.value for part in parts if part.disposition},
    }


def of_rework(parts: Sequence[OrderPart]) -> dict[str, Any]:
    """Return which parts were reworked and which replaced, by what."""
    return {
        "reworked": [part.position for part in parts if part.operation],
        "replaced": [
            {
                "position": part.position,
                "partNumber": part.installed_part_number,
                "isSubstituted": part.is_substituted,
            }
            for part in parts
            if part.installed_part_number
        ],
    }


def costs_of(parts: Sequence[OrderPart]) -> dict[str, int]:
    """Return what was spent on each part, in fen."""
    return {part.position: part.cost_fen for part in parts if part.cost_fen}


def of_test(run: BenchRun) -> dict[str, Any]:
    """Return a test's values beside their limits."""
    return {
        "passed": run.passed,
        "measurements": [
            {
                "code": each.code,
                "value": f"{each.value:f}",
                "unit": each.unit,
                "lowerLimit": None if each.lower is None else f"{each.lower:f}",
                "upperLimit": None if each.upper is None else f"{each.upper:f}",
                "isWithinLimits": each.is_within_limits,
                "isOriginal": each.is_original,
            }
            for each in run.measurements
        ],
    }


def of_certificate(certificate: Certificate) -> dict[str, Any]:
    """Return what was certified, and what was saved."""
    return {
        "identity": {
            "remanClass": certificate.reman_class.value,
            "labelNo": certificate.label_no,
            "serialNumber": certificate.serial_number,
            "warrantyMonths": certificate.warranty_months,
            "warrantyHours": certificate.warranty_hours,
        },
        "savings": {
            "labelNo": certificate.label_no,
            "materialKg": f"{certificate.savings.material_kg:f}",
            "materialShare": f"{certificate.savings.material_share:f}",
            "co2Kg": f"{certificate.savings.co2_kg:f}",
        },
    }
