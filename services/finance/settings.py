"""Settings of the finance service."""

from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class FinanceSettings(ServiceSettings):
    """The kit's settings under finance's own prefix."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_FINANCE_")
