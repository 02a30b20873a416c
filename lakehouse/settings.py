"""What differs between machines, read once: environment (LAKE_…) beats conf/platform.toml beats the default here."""

import functools
import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from lakehouse.errors import NewerFormatError, UnavailableError, UsageError

ROOT = Path(__file__).resolve().parent.parent
# A comma or colon ends a path in a list, Spark reads the others as patterns, and Delta reads %20 as a blank.
_UNFIT = re.compile(r"[,:*?\[\]{}\\\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")

BROKER_FORMAT = 1


@dataclass(frozen=True)
class BrokerAddress:
    """Where the embedded broker listens, and how its clients talk to it: the content of broker.json."""

    bootstrap_servers: str
    security: str = "plaintext"
    format: int = BROKER_FORMAT


class Settings(BaseSettings):
    """The platform's settings; paths are absolute."""

    model_config = SettingsConfigDict(
        env_prefix="LAKE_", toml_file=ROOT / "conf/platform.toml", extra="forbid", hide_input_in_errors=True
    )

    var: Path = Path("var")
    domains: Annotated[tuple[str, ...], NoDecode] = ()  # that `lake up` starts by itself; all where there is none
    bootstrap_servers: str = "embedded"
    kafka_port: int = 9092
    kafka_heap: str = "256m"
    kafka_limit_gb: float | None = Field(default=None, gt=0)
    kafka_security: Literal["plaintext", "sasl_ssl"] = "plaintext"
    kafka_user: str = Field(default="lake", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    kafka_password_file: Path | None = None
    kafka_ca_file: Path | None = None
    postgres_dsn: str = Field(default="embedded", repr=False)  # it may contain a password
    postgres_port: int = 5432
    dashboard_host: str = "127.0.0.1"
    dashboard_port: int = 8050
    dashboard_token_file: Path | None = None
    job_java_options: str = "-XX:TieredStopAtLevel=1"
    stream_java_options: str = ""
    nightly_limit_minutes: float = Field(default=60.0, gt=0)
    keep_environment: str = ""
    domain_conf: Path = Path("conf")  # the folder of <domain>.toml, for domains that have settings

    @field_validator("domains", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """In the environment: names with commas or blanks between them."""
        return tuple(re.findall(r"[^,\s]+", value)) if isinstance(value, str) else value

    @field_validator("var", "domain_conf", "kafka_password_file", "kafka_ca_file", "dashboard_token_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return (ROOT / value.expanduser()).resolve() if value else None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then conf/platform.toml."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def lake(self) -> Path:
        """Root of the Delta tables: <lake>/<domain>/<table>."""
        return self.var / "lake"

    @property
    def checkpoints(self) -> Path:
        """Root of the streaming checkpoints: <checkpoints>/<domain>/<query>."""
        return self.var / "checkpoints"

    @property
    def run(self) -> Path:
        """State of the running platform: pids, locks, the broker's address."""
        return self.var / "run"

    @property
    def log(self) -> Path:
        """One log file per process."""
        return self.var / "log"

    @property
    def broker_file(self) -> Path:
        """The file with the embedded broker's address."""
        return self.run / "broker.json"

    def brokers(self) -> str:
        """The bootstrap servers: the configured ones or the running embedded broker's.

        Raises UnavailableError when the embedded broker is configured and does not run.
        """
        if self.bootstrap_servers != "embedded":
            return self.bootstrap_servers
        if (address := self.embedded_broker()) is None:
            raise UnavailableError(
                "No Kafka broker is known: the embedded broker is not running.",
                "Start it with `lake up`, or set LAKE_BOOTSTRAP_SERVERS=host:port.",
            )
        return address.bootstrap_servers

    def embedded_broker(self) -> BrokerAddress | None:
        """Where the embedded broker is; None when it does not run.

        Raises NewerFormatError when a newer version of the platform started it.
        """
        try:
            values = json.loads(self.broker_file.read_text())
            address = BrokerAddress(
                str(values["bootstrap_servers"]), str(values.get("security", "plaintext")), values.get("format", 0)
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None
        if not isinstance(address.format, int) or address.format > BROKER_FORMAT:
            raise NewerFormatError(f"The file {self.broker_file}", address.format, BROKER_FORMAT)
        return address


@functools.cache
def settings() -> Settings:
    """The settings of this process. Raises UsageError, naming the setting, for one that cannot be used."""
    try:
        values = Settings()
    except ValidationError as error:
        raise UsageError(*_refusal(error)) from None
    for folder, fix in ((ROOT, "Move the checkout."), (values.var, "Name another one with LAKE_VAR.")):
        if unfit := _UNFIT.search(str(folder)):
            raise UsageError(
                f"The path of {str(folder)!r} has {unfit[0]!r} in it, which Kafka, Spark or Delta would misread.", fix
            )
    return values


def _refusal(error: ValidationError) -> tuple[str, str]:
    """The first error of the settings: what is wrong and what to do."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        near = get_close_matches(name, Settings.model_fields, 1, 0.75)
        fix = f"Did you mean {near[0]}?" if near else f"Settings: {', '.join(Settings.model_fields)}."
        return f"There is no setting {name}, which conf/platform.toml has.", fix
    rule = first["msg"][0].lower() + first["msg"][1:]
    return (
        f"The setting {name} cannot be used: {rule}; got {first['input']!r}.",
        f"Change LAKE_{name.upper()} in the environment, or {name} in conf/platform.toml.",
    )
