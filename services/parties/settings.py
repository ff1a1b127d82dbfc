"""Settings of the parties service."""

from datetime import timedelta

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class PartiesSettings(ServiceSettings):
    """The kit's settings, and those of the local issuer."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_PARTIES_")

    token_lifetime: timedelta = Field(
        default=timedelta(hours=1), description="how long an issued token is good for"
    )
    service_secrets: dict[str, SecretStr] = Field(
        default_factory=dict, description="service name to the secret it signs in with"
    )
    operator_login: str = "operator"
    operator_password: SecretStr = Field(
        default=SecretStr(""), description="password of the first user; empty: none is made"
    )

    @property
    def issues_tokens(self) -> bool:
        """Whether this service is the issuer: only locally, and only where no other is set."""
        return self.environment == "local" and not self.jwks_url
