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
        default="us-auctions-2012.02-4", description="the version that values from now on"
    )
    policies: Path = Field(
        default=Path(__file__).parent / "policies",
        description="folder with a JSON file for each policy table; each is kept for replay",
    )
    comparables: Path | None = Field(
        default=None,
        description="Parquet or CSV file of own sales in the importer's columns, shown as "
        "comparables; absent: the shipped ones of the seeded generator",
    )
    shipped_comparables: Path = Field(
        default=Path(__file__).parent / "sales" / "synthetic.csv",
        description="comparables that are shown where there are no own ones",
    )
    indices: Path = Field(
        default=Path(__file__).parent / "indices",
        description="folder with JSON files of index series by product group",
    )
    policy: str = Field(default="2026-4", description="the policy table that holds from now on")
    portfolios: Path = Field(
        default=Path("build/valuation/portfolios"),
        description="folder with a folder for each party (named by its uuid) that holds the "
        "Parquet files it may have valued",
    )
    results: Path = Field(
        default=Path("build/valuation/results"),
        description="folder that gets a folder for each batch with its result and hashes",
    )
    batch_chunk_rows: int = Field(
        default=20_000,
        ge=100,
        le=200_000,
        description="rows of a portfolio that are valued and kept at a time; a restart repeats at "
        "most so many, and 20,000 take some 30 MB while they are valued",
    )
