"""Settings of the procurement service."""

from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class ProcurementSettings(ServiceSettings):
    """The kit's settings; procurement has none of its own."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_PROCUREMENT_")
