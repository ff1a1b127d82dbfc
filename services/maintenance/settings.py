"""Settings of the maintenance service."""

from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class MaintenanceSettings(ServiceSettings):
    """The kit's settings, and those of reading fleets from afar and serving them."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_MAINTENANCE_")
