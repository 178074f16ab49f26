"""Every deployment setting, in one frozen object, made from what `environment` reads.

Constructed by the composition roots (`server.py`, `worker.py`, `cli/`) and handed down as values.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

import environment
from domain.hosts import is_loopback
from domain.limits import Limits
from domain.media_files import MIB
from domain.retention import Keeping
from domain.sealing import Wrapping
from domain.secrets import Purpose, Secrets
from domain.validation import requirement
from domain.weak_secrets import weakness
from environment import SettingsInvalid
from settings.content import ContentSettings
from settings.fields import Seconds, absent, listed, split_url
from settings.jobs import JobSettings
from settings.payments import PaymentSettings
from settings.people import PeopleSettings
from settings.process import ProcessSettings
from settings.temporal import TemporalSettings
from settings.webhooks import WebhookSettings
from settings.workers import WorkerSettings

Kind = TypeVar("Kind", bound=BaseSettings)

_SECRETS = TypeAdapter(list[str], config=ConfigDict(hide_input_in_errors=True))

_REMEDY = (
    "make one with `openssl rand -hex 32`. If a database was used with this one, keep it in YOUT_PREVIOUS_SECRET_KEYS, "
    "and run `yout secrets rotate`"
)


class Environment(EnvSettingsSource):
    """The environment without white space around its values; no setting goes by an old name."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in environment.read().items()}


class RunningDev(PydanticBaseSettingsSource):
    """What a running `make dev` wrote into its state folder, for values the environment does not give."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        known = environment.running_dev(self.current_state.get("state_dir"))
        return {name: value for name, value in known.items() if name in self.settings_cls.model_fields}


class _FromEnvironment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="YOUT_", frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, Environment(settings_cls), RunningDev(settings_cls)


class WorkflowWorkerSettings(_FromEnvironment, ProcessSettings, TemporalSettings, WorkerSettings):
    """Of a worker that serves workflows alone: no database, no storage, and no secret but the keys of payloads."""

    temporal_payload_keys: SecretStr = Field(default=SecretStr(""), validate_default=True)

    @field_validator("temporal_payload_keys")
    @classmethod
    def _has_one(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().strip(" ,"):
            raise ValueError("is empty: write what `yout secrets payload-keys` prints")
        return value


class Settings(
    _FromEnvironment,
    ProcessSettings,
    TemporalSettings,
    WorkerSettings,
    PeopleSettings,
    ContentSettings,
    PaymentSettings,
    WebhookSettings,
    JobSettings,
):
    """`YOUT_<NAME>` in the environment sets each field."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    temporal_port: int = Field(default=7233, ge=1, le=65535)
    temporal_ui_port: int = Field(default=8233, ge=1, le=65535)
    public_url: str = "http://127.0.0.1:8080"
    catalog: Annotated[Path | None, BeforeValidator(absent)] = None
    """A catalog file that extends or replaces entries of the shipped one."""

    database_url: SecretStr
    """postgresql://user:password@host:port/database"""
    migration_database_url: Annotated[SecretStr | None, BeforeValidator(absent)] = None
    """Of the role that owns the schema, for `yout migrate` alone. Omitted: that of `database_url`."""
    database_pool: int = Field(default=8, ge=1, le=100)
    storage_url: Annotated[str | None, BeforeValidator(absent)] = None
    """file:///path or s3://bucket/prefix; omitted: `media/` inside the state folder."""
    secret_key: SecretStr
    """Master secret: payload encryption, sealed inputs and URL signatures are derived from it."""
    previous_secret_keys: SecretStr = SecretStr("")
    """Older values of `secret_key`, comma-separated or a JSON list: still open what they sealed, seal nothing new."""

    referer: str = "https://yout.chat"
    """The only thing that upstreams learn about where a call comes from."""
    upstream_connect_timeout: Seconds = timedelta(seconds=5)
    upstream_first_byte_timeout: Seconds = timedelta(seconds=60)
    upstream_idle_timeout: Seconds = timedelta(seconds=60)
    upstream_total_timeout: Seconds = timedelta(seconds=600)
    upstream_connections: int = Field(default=4096, ge=1)
    """To each provider (its scheme, host and port); one more call waits for one of them."""
    abandoned_stream_timeout: Seconds = timedelta(seconds=120)
    """How long a provider that bills on after an abort is read for a client who has gone, at most."""
    max_abandoned_streams: int = Field(default=32, ge=0)
    """How many such streams a process reads at a time; one more is cut, and charged for what was delivered."""
    max_requests_per_minute: int = Field(default=600_000, ge=1)
    """The most that any account may have, whatever number of keys it has; so are the next two."""
    max_tokens_per_minute: int = Field(default=1_000_000_000, ge=1)
    max_concurrent_calls: int = Field(default=10_000, ge=1)
    max_body_bytes: int = Field(default=20 * 1024 * 1024, ge=1024)
    max_bodies_mib: int = Field(default=192, ge=1)
    """Of bodies above 64 KiB in requests that a process reads and answers; one account has half of it at most."""
    cors_origins: str = "*"
    """Comma-separated origins of web pages that may call with a key; `*`: all of them."""
    metrics_token: Annotated[SecretStr | None, BeforeValidator(absent)] = None
    """What Prometheus sends as `Authorization: Bearer …`. Omitted: `/metrics` answers everybody who reaches it."""
    traces_from_callers: bool = False
    """A request with a valid `traceparent` belongs to its caller's trace, where traces are exported."""
    failpoint: Annotated[str | None, BeforeValidator(absent)] = None
    """`activity:moment`: the worker kills itself there with SIGKILL. For fault tests only."""

    @field_validator("database_url")
    @classmethod
    def _is_a_database_url(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(environment.DATABASE_SCHEMES):
            raise ValueError(environment.DATABASE_URL_FORM)
        return value

    @field_validator("secret_key")
    @classmethod
    def _is_a_secret(cls, value: SecretStr) -> SecretStr:
        if weak := weakness(value.get_secret_value()):
            raise ValueError(f"{weak}: {_REMEDY}")
        return value

    @field_validator("metrics_token")
    @classmethod
    def _is_a_strong_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (weak := weakness(value.get_secret_value())):
            raise ValueError(f"{weak}: make one with `openssl rand -hex 32`")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_a_public_url(cls, value: str) -> str:
        parts = split_url(value)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError("write it as https://host, or https://host/path, without a query")
        return value

    @field_validator("storage_url")
    @classmethod
    def _is_a_storage_url(cls, value: str | None) -> str | None:
        parts = split_url(value or "file:///x")
        if (
            parts is None
            or parts.scheme not in ("file", "s3")
            or not (parts.path if parts.scheme == "file" else parts.netloc)
        ):
            raise ValueError("write it as file:///path or s3://bucket/prefix")
        return value

    @model_validator(mode="after")
    def _is_for_tests_here_alone(self) -> Self:
        if self.failpoint and not is_loopback(urlsplit(self.public_url).hostname or ""):
            raise ValueError("YOUT_FAILPOINT is for tests: it works only while YOUT_PUBLIC_URL is of loopback")
        return self

    @model_validator(mode="after")
    def _holds_the_largest_request(self) -> Self:
        largest = max(self.max_body_bytes + self.file_limits.largest, self.file_limits.largest_body)
        if self.max_bodies_mib * MIB < 2 * largest:
            raise ValueError("max_bodies_mib must be twice max_body_bytes and the largest file together, at least")
        return self

    @property
    def keeping(self) -> Keeping:
        return Keeping(
            outputs=self.output_lifetime,
            uploads=self.upload_lifetime,
            replays=self.idempotency_lifetime,
            webhooks=self.webhook_retention,
            jobs=self.hold_retention,
            usage=self.usage_retention,
        )

    @property
    def sends_in_the_open(self) -> bool:
        """True if clients send their keys and prompts over a network without TLS."""
        parts = urlsplit(self.public_url)
        return parts.scheme == "http" and not is_loopback(parts.hostname or "")

    @property
    def metrics_secret(self) -> str | None:
        return None if self.metrics_token is None else self.metrics_token.get_secret_value()

    @property
    def sender(self) -> str:
        host = urlsplit(self.public_url).hostname or "localhost"
        return self.mail_from or f"no-reply@{'localhost' if ':' in host else host}"

    @property
    def ceiling(self) -> Limits:
        return Limits(self.max_requests_per_minute, self.max_tokens_per_minute, self.max_concurrent_calls)

    @property
    def allowed_origins(self) -> list[str]:
        return listed(self.cors_origins)

    @property
    def previous_secrets(self) -> list[str]:
        value = self.previous_secret_keys.get_secret_value()
        secrets = _SECRETS.validate_json(value) if value.startswith("[") else value.split(",")
        return [secret for secret in secrets if secret]

    @property
    def secrets(self) -> Secrets:
        return Secrets(self.secret_key.get_secret_value(), self.previous_secrets)

    @property
    def wrapping(self) -> Wrapping:
        return Wrapping(self.secrets.derive(Purpose.DATA_KEYS).every)


def load() -> Settings:
    """Settings of this process: environment first, then a running `make dev`, then defaults.

    Raises `SettingsInvalid`, which names every setting that is wrong, and never a value.
    """
    return _loaded(Settings)


def load_worker() -> Settings | WorkflowWorkerSettings:
    """The same of a worker process: one that serves workflows alone needs less."""
    role = environment.read().get("YOUT_WORKER_ROLE")
    return _loaded(WorkflowWorkerSettings) if role == "workflows" else load()


def _loaded(kind: type[Kind]) -> Kind:
    try:
        return kind()  # the sources fill the required fields
    except ValidationError as invalid:
        raise SettingsInvalid(problems(invalid)) from None


def problems(invalid: ValidationError) -> list[str]:
    """One line for each setting that is wrong."""
    return [_problem(error) for error in invalid.errors(include_input=False)]


def _problem(error: ErrorDetails) -> str:
    name = f"YOUT_{str(error['loc'][0]).upper()}" if error["loc"] else "the settings"
    if error["type"] == "missing":
        return f"{name} {environment.NOT_SET}"
    return f"{name}: {requirement(error['type'], error['msg'], error.get('ctx', {}))}"


def provider_keys(names: Iterable[str]) -> Mapping[str, SecretStr]:
    """The provider keys that are set, by the variable names that the catalog gives (`OPENAI_API_KEY` …)."""
    return {name: SecretStr(value) for name, value in environment.foreign(names).items()}


def storage_options() -> Mapping[str, str]:
    """The S3 client's own variables (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT` …), for a `storage_url` that needs them."""
    return environment.foreign(environment.names_with_prefix("AWS_"))


def catalog_path() -> Path | None:
    """Where the catalog's extension is, for what needs nothing else of the settings."""
    given = environment.read()
    path = given.get("YOUT_CATALOG") or environment.running_dev(given.get("YOUT_STATE_DIR")).get("catalog")
    return Path(path) if path else None
