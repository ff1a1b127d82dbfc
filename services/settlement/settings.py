"""Settings of the settlement service."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class SettlementSettings(ServiceSettings):
    """The kit's settings, and how much may wait for a ledger."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_SETTLEMENT_")

    # A commit is one event, and a round costs broker, relay and database as much as ten commits.
    relay_round_max_ms: int = Field(
        default=200,
        ge=25,
        le=1_000,
        description="how long events gather at most before they leave, under a steady flow",
    )
    lane_queued_max: int = Field(
        default=32_768,
        ge=4_096,
        le=1_000_000,
        description="transfers that may wait for one ledger: about a second of its work",
    )
