"""Settings of the maintenance service."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from services.kit.settings import ServiceSettings


class FleetSource(BaseModel):
    """A telematics endpoint (ISO 15143-3, AEMP 2.0) that the poller walks for a party.

    Attributes:
        party: Whose machines it tells of; no other machine is touched.
        base_url: What stands before "/Fleet/{page}".
        first_page: 1 by the standard; some count from 0.
        auth: How it is asked: without, by an API key in a header, or by OAuth 2.0 with client
            credentials or with a password.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    party: str = Field(pattern=r"^parties/[0-9a-f-]{36}$")
    base_url: str = Field(pattern=r"^https?://[^\s/]+[^\s]*[^\s/]$")
    first_page: int = Field(default=1, ge=0, le=1)
    accept: Literal["application/xml", "application/json"] = "application/xml"
    auth: Literal["none", "api_key", "client_credentials", "password"] = "none"
    api_key_header: str = Field(default="X-API-Key", pattern=r"^[A-Za-z0-9-]{1,60}$")
    api_key: SecretStr = SecretStr("")
    token_url: str = ""
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    username: str = ""
    password: SecretStr = SecretStr("")
    scope: str = ""
    every: timedelta = Field(
        default=timedelta(minutes=15), ge=timedelta(seconds=1), le=timedelta(days=1)
    )


class MaintenanceSettings(ServiceSettings):
    """The kit's settings, and those of reading fleets from afar and serving them."""

    model_config = SettingsConfigDict(env_prefix="IRONLOOP_MAINTENANCE_")

    sources: list[FleetSource] = Field(
        default_factory=list, description="telematics endpoints that the poller walks, as JSON"
    )
    fleet_listen: str = Field(
        default="", description="host:port where fleets are served over HTTP; empty: nowhere"
    )
    fleet_url: str = Field(
        default="", description="that address as clients see it; empty: as they ask for it"
    )

    @model_validator(mode="after")
    def _sources_fit(self) -> Self:
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError("two sources have the same name")
        for source in self.sources:
            needs_token = source.auth in {"client_credentials", "password"}
            if needs_token and not source.token_url:
                raise ValueError(f"{source.name}: token_url is needed for {source.auth}")
            for url in (source.base_url, source.token_url):
                if self.environment != "local" and url and not url.startswith("https://"):
                    raise ValueError(f"{source.name}: {url} is not encrypted")
        return self
