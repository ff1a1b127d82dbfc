"""Settings of the valuation service."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

import ml.residual_value
from services.kit.settings import ServiceSettings


class ValuationSettings(ServiceSettings):
    """The kit's settings, and which models and policy tables are used."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_VALUATION_")

    models: Path = Field(
        default=Path(ml.residual_value.__file__).parent / "models",
        description="folder with a folder for each model version; each is kept for replay",
    )
    champion: str = Field(
        default="us-auctions-2012.02-1", description="the version that values from now on"
    )
    policies: Path = Field(
        default=Path(__file__).parent / "policies",
        description="folder with a JSON file for each policy table; each is kept for replay",
    )
    policy: str = Field(default="2026-1", description="the policy table that holds from now on")
