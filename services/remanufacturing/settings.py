"""Settings of the remanufacturing service."""

from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class RemanufacturingSettings(ServiceSettings):
    """The kit's settings; remanufacturing has none of its own."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_REMANUFACTURING_")
