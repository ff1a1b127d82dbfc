"""Settings of the marketplace service."""

from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class MarketplaceSettings(ServiceSettings):
    """The kit's settings; marketplace has none of its own."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_MARKETPLACE_")
