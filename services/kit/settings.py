"""Settings that every service takes from its environment, prefix `IRONLOOP_<SERVICE>_`."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class ServiceSettings(BaseSettings):
    """What a service must know before it can serve. A service's own class adds its prefix."""

    environment: Literal["local", "production"] = "production"
    listen: str = Field(default="127.0.0.1:0", description="host:port of the gRPC server")
    metrics_listen: str = Field(
        default="127.0.0.1:0", description="host:port of /metrics over HTTP"
    )

    postgres_dsn: SecretStr
    pool_size_max: int = Field(default=10, ge=1, le=100)
    statement_timeout_ms: int = Field(default=15_000, ge=100, le=600_000)

    kafka_bootstrap: str = Field(
        default="", description="host:port of a broker; empty: events wait in the outbox"
    )

    relay_round_max_ms: int = Field(
        default=25,
        ge=25,
        le=1_000,
        description="how long events gather at most before they leave, under a steady flow",
    )

    kafka_prefix: str = Field(
        default="", description="put before topics and groups, where stacks share a broker"
    )

    jwks_url: str = Field(default="", description="where the issuer publishes its keys")
    issuer: str = "ironloop-local"
    audience: str = "ironloop"
    token_url: str = Field(
        default="",
        description="where an outside issuer gives services tokens (OAuth 2.0 client credentials)",
    )
    client_secret: SecretStr = SecretStr("")
    peers: dict[str, str] = Field(default_factory=dict, description="service name to host:port")

    page_token_key: SecretStr = Field(
        min_length=32, description="secret under which page tokens are signed"
    )
    traces: Path | None = Field(default=None, description="file that gets spans as JSON lines")
    drain_s: float = Field(
        default=10.0, ge=0, le=300, description="how long running calls may take after SIGTERM"
    )
