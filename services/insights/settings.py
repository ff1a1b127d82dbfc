"""Settings of the insights service."""

from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class InsightsSettings(ServiceSettings):
    """The kit's settings."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_INSIGHTS_")
