"""Settings of the leasing service."""

from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class LeasingSettings(ServiceSettings):
    """The kit's settings under this service's prefix."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_LEASING_")
