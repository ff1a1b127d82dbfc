"""How fast the dealer's fleet turned over, as insights computes it from events."""

from datetime import date, timedelta
from typing import Any

from google.protobuf import json_format
from ironloop.insights.v1 import insights_pb2, insights_pb2_grpc

from infra.local.demo.scene import Scene
from services.kit import wire

SERVICE = "insights"


async def turnover_of(scene: Scene, *, since: date) -> dict[str, Any]:
    """Return the measures of the dealer's fleet from a day to today, by name."""
    today = await scene.time.today()
    answer = await scene.cast.dealer.stub(insights_pb2_grpc.InsightsServiceStub).GetTurnover(
        insights_pb2.GetTurnoverRequest(
            from_date=wire.date(since), to_date=wire.date(today + timedelta(days=1))
        )
    )
    measures = json_format.MessageToDict(answer, preserving_proto_field_name=True)
    return _flat(measures)


def _flat(measures: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return measures by one name each; a decimal is its text, money its yuan, a date its day."""
    flat: dict[str, Any] = {}
    for name, value in measures.items():
        if not isinstance(value, dict):
            flat[prefix + name] = value
        elif "value" in value:
            flat[prefix + name] = value["value"]
        elif "currency_code" in value:
            cents = value.get("nanos", 0) // wire.NANOS_PER_FEN
            flat[prefix + name] = f"{value.get('units', 0)}.{cents:02d} {value['currency_code']}"
        elif "year" in value:
            flat[prefix + name] = f"{value['year']}-{value['month']:02d}-{value['day']:02d}"
        else:
            flat |= _flat(value, f"{prefix}{name}.")
    return flat
