"""Every deployment setting, in one frozen object, made from what `environment` reads.

Constructed by the composition roots (`server.py`, `worker.py`, `cli/`) and handed down as values.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import SplitResult, urlsplit

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
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

import environment
from domain import email_addresses
from domain.errors import RequestInvalid
from domain.hosts import is_loopback
from domain.limits import Limits
from domain.operations import REMEMBERED
from domain.retention import Retention
from domain.secrets import Secrets
from domain.sessions import SessionLifetime
from domain.shares import Lifetimes
from domain.visitors import VisitorRules
from domain.weak_secrets import weakness
from environment import SettingsInvalid
from gateway.smtp import MailServer

_SECRETS = TypeAdapter(list[str], config=ConfigDict(hide_input_in_errors=True))

Seconds = Annotated[
    timedelta,
    BeforeValidator(lambda v: timedelta(seconds=float(v)) if isinstance(v, str | int | float) else v),
]
Days = Annotated[
    timedelta | None,
    BeforeValidator(lambda v: (timedelta(days=float(v)) or None) if isinstance(v, str | int | float) else v),
]
"""0 days: for ever."""
Lifetime = Annotated[
    timedelta | None,
    BeforeValidator(lambda v: (timedelta(seconds=float(v)) or None) if isinstance(v, str | int | float) else v),
]
"""0 seconds: for ever."""

_REMEDY = (
    "make one with `openssl rand -hex 32`. If a database was used with this one, keep it in YOUT_PREVIOUS_SECRET_KEYS, "
    "and run `yout secrets rotate`"
)


def _absent(value: object) -> object:
    return None if value == "" else value


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no number
    except ValueError:
        return None
    return parts


class Environment(EnvSettingsSource):
    """The environment without white space around its values; no setting goes by an old name."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in environment.read().items()}


class RunningDev(PydanticBaseSettingsSource):
    """What a running `make dev` wrote into its state folder, for values the environment does not give."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(environment.running_dev(self.current_state.get("state_dir")))


class Settings(BaseSettings):
    """`YOUT_<NAME>` in the environment sets each field."""

    model_config = SettingsConfigDict(env_prefix="YOUT_", frozen=True, extra="forbid", hide_input_in_errors=True)

    state_dir: Path = Path(".yout")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    temporal_port: int = Field(default=7233, ge=1, le=65535)
    temporal_ui_port: int = Field(default=8233, ge=1, le=65535)
    public_url: str = "http://127.0.0.1:8080"
    catalog: Annotated[Path | None, BeforeValidator(_absent)] = None
    """A catalog file that extends or replaces entries of the shipped one."""

    database_url: SecretStr
    """postgresql://user:password@host:port/database"""
    migration_database_url: Annotated[SecretStr | None, BeforeValidator(_absent)] = None
    """Of the role that owns the schema, for `yout migrate` alone. Omitted: that of `database_url`."""
    database_pool: int = Field(default=8, ge=1, le=100)
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_tls: bool = False
    temporal_api_key: Annotated[SecretStr | None, BeforeValidator(_absent)] = None
    storage_url: Annotated[str | None, BeforeValidator(_absent)] = None
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
    cors_origins: str = "*"
    """Comma-separated origins of web pages that may call with a key; `*`: all of them."""
    trusted_proxies: str = ""
    """Comma-separated networks of the proxies whose `X-Forwarded-For` names the client. Empty: the peer is it."""
    session_idle_lifetime: Seconds = timedelta(days=14)
    """A session that is not used ends after this time."""
    session_lifetime: Seconds = timedelta(days=90)
    """A session ends after this time in any case."""
    visitor_messages_day: int = Field(default=20, ge=0, le=10_000)
    """Messages of a person without an account in a UTC day. 0: such callers are refused."""
    visitor_credits_day: int = Field(default=500_000, ge=0, le=10**12)
    """The most that all of them together may cost in a day."""
    visitor_max_tokens: int = Field(default=1024, ge=1)
    """The longest answer that they get."""
    visitor_max_body_bytes: int = Field(default=32 * 1024, ge=1024, le=64 * 1024)
    visitor_concurrent_calls: int = Field(default=2, ge=1)
    """Messages of one of them that a process answers at a time. More wait."""
    max_visitor_calls: int = Field(default=32, ge=1)
    """Messages of all of them that are answered at a time."""
    email_verification: bool = True
    """An account is opened when its owner opens a link that was mailed to the address. False: at once."""
    free_tier_credits: int = Field(default=50_000, ge=0)
    """Credits of a new account, once for each mailbox. 0: none."""
    smtp_url: Annotated[SecretStr | None, BeforeValidator(_absent)] = None
    """smtps://user:password@host, smtp+starttls://…, or smtp://host; omitted: no mail is sent."""
    mail_from: Annotated[str | None, BeforeValidator(_absent)] = None
    """The address that mails come from; omitted: no-reply at the public host."""
    output_url_lifetime: Seconds = timedelta(hours=1)
    output_lifetime: Seconds = timedelta(hours=24)
    idempotency_lifetime: Seconds = REMEMBERED
    """How long an `Idempotency-Key` gives the same answer again."""
    hold_retention: Days = timedelta(days=90)
    """Closed holds and jobs, and with them receipts. What they moved is kept for ever."""
    usage_retention: Days = timedelta(days=400)
    """Usage of single calls; that of days is kept for ever."""
    operator_contact: Annotated[str | None, BeforeValidator(_absent)] = Field(
        default=None, pattern=r"^(https?://\S+|[^\s@]+@[^\s@]+)$"
    )
    """An e-mail address or a link: who runs this server, and where a shared page is reported. It is shown to all."""
    share_lifetime: Lifetime = timedelta(days=30)
    """How long a shared page lives whose maker does not say."""
    max_share_lifetime: Lifetime = timedelta(days=365)
    """The most that its maker may say. 0: also for ever."""
    max_shares: int = Field(default=1000, ge=0)
    """Shared pages that an account may have at a time."""
    audit_retention: Days = timedelta(days=90)
    worker_queues: str = ""
    """Comma-separated task queues that this worker serves; empty: all of them."""
    shutdown_timeout: Seconds = timedelta(seconds=25)
    """How long a process that was told to stop lets running calls and activities finish."""
    log_format: str = Field(default="console", pattern="^(console|json)$")

    stripe_webhook_secrets: SecretStr = SecretStr("")
    """Secrets of Stripe's webhook endpoint (`whsec_…`), comma-separated; each may sign. Empty: no payments here."""
    stripe_livemode: bool = True
    """False: events of Stripe's test mode are taken, and those of live mode are refused."""

    failpoint: Annotated[str | None, BeforeValidator(_absent)] = None
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

    @field_validator("public_url")
    @classmethod
    def _is_a_public_url(cls, value: str) -> str:
        parts = _split(value)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError("write it as https://host, or https://host/path, without a query")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _has_networks(cls, value: str) -> str:
        try:
            for network in value.split(","):
                if network.strip():
                    ip_network(network.strip())
        except ValueError:
            raise ValueError("write it as networks with commas between them, such as 10.0.0.0/8, ::1") from None
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_a_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            MailServer.of(value.get_secret_value())
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_an_email_address(cls, value: str | None) -> str | None:
        try:
            return None if value is None else email_addresses.normalized(value)
        except RequestInvalid:
            raise ValueError("write it as name@host") from None

    @field_validator("storage_url")
    @classmethod
    def _is_a_storage_url(cls, value: str | None) -> str | None:
        parts = _split(value or "file:///x")
        if (
            parts is None
            or parts.scheme not in ("file", "s3")
            or not (parts.path if parts.scheme == "file" else parts.netloc)
        ):
            raise ValueError("write it as file:///path or s3://bucket/prefix")
        return value

    @field_validator("temporal_address")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[^\s/:]+):\d{1,5}", value):
            raise ValueError("write it as host:port")
        return value

    @model_validator(mode="after")
    def _keeps_long_enough(self) -> Self:
        if not self.retention.outlasts(self.idempotency_lifetime):
            raise ValueError("hold_retention must be a day longer than idempotency_lifetime: a replay needs its hold")
        return self

    @model_validator(mode="after")
    def _is_for_tests_here_alone(self) -> Self:
        if self.failpoint and not is_loopback(urlsplit(self.public_url).hostname or ""):
            raise ValueError("YOUT_FAILPOINT is for tests: it works only while YOUT_PUBLIC_URL is of loopback")
        return self

    @property
    def sends_in_the_open(self) -> bool:
        """True if clients send their keys and prompts over a network without TLS."""
        parts = urlsplit(self.public_url)
        return parts.scheme == "http" and not is_loopback(parts.hostname or "")

    @model_validator(mode="after")
    def _shares_end(self) -> Self:
        usual, longest = self.share_lifetime, self.max_share_lifetime
        if longest is not None and (usual is None or usual > longest):
            raise ValueError("share_lifetime must not be longer than max_share_lifetime")
        return self

    @property
    def share_lifetimes(self) -> Lifetimes:
        return Lifetimes(self.share_lifetime, self.max_share_lifetime)

    @property
    def retention(self) -> Retention:
        return Retention(holds=self.hold_retention, usage=self.usage_retention, audits=self.audit_retention)

    @property
    def sender(self) -> str:
        host = urlsplit(self.public_url).hostname or "localhost"
        return self.mail_from or f"no-reply@{'localhost' if ':' in host else host}"

    @property
    def mail_server(self) -> MailServer | None:
        return None if self.smtp_url is None else MailServer.of(self.smtp_url.get_secret_value())

    @property
    def session_lifetimes(self) -> SessionLifetime:
        return SessionLifetime(self.session_idle_lifetime, self.session_lifetime)

    @property
    def visitor_rules(self) -> VisitorRules:
        bounds = self.visitor_max_tokens, self.visitor_max_body_bytes
        calls = self.visitor_concurrent_calls, self.max_visitor_calls
        return VisitorRules(self.visitor_messages_day, self.visitor_credits_day, *bounds, *calls)

    @property
    def ceiling(self) -> Limits:
        return Limits(self.max_requests_per_minute, self.max_tokens_per_minute, self.max_concurrent_calls)

    @property
    def allowed_origins(self) -> list[str]:
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def previous_secrets(self) -> list[str]:
        value = self.previous_secret_keys.get_secret_value()
        secrets = _SECRETS.validate_json(value) if value.startswith("[") else value.split(",")
        return [secret for secret in secrets if secret]

    @property
    def stripe_secrets(self) -> list[str]:
        given = self.stripe_webhook_secrets.get_secret_value().split(",")
        return [secret.strip() for secret in given if secret.strip()]

    @field_validator("stripe_webhook_secrets")
    @classmethod
    def _are_endpoint_secrets(cls, value: SecretStr) -> SecretStr:
        secrets = [secret.strip() for secret in value.get_secret_value().split(",") if secret.strip()]
        if not all(re.fullmatch(r"whsec_[\x21-\x7e]{16,}", secret) for secret in secrets):
            raise ValueError("write it as whsec_…, as Stripe shows it for the endpoint; several with commas between")
        return value

    @property
    def secrets(self) -> Secrets:
        return Secrets(self.secret_key.get_secret_value(), self.previous_secrets)

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


def load() -> Settings:
    """Settings of this process: environment first, then a running `make dev`, then defaults.

    Raises `SettingsInvalid`, which names every setting that is wrong, and never a value.
    """
    try:
        return Settings()  # the sources fill the required fields
    except ValidationError as invalid:
        raise SettingsInvalid(problems(invalid)) from None


def problems(invalid: ValidationError) -> list[str]:
    """One line for each setting that is wrong."""
    return [_problem(error["type"], error["msg"], error["loc"]) for error in invalid.errors(include_input=False)]


def _problem(kind: str, message: str, location: tuple[int | str, ...]) -> str:
    name = f"YOUT_{str(location[0]).upper()}" if location else "the settings"
    if kind == "missing":
        return f"{name} {environment.NOT_SET}"
    return f"{name}: {message.removeprefix('Value error, ')}"


def provider_keys(names: Iterable[str]) -> Mapping[str, SecretStr]:
    """The provider keys that are set, by the variable names that the catalog gives (`OPENAI_API_KEY` …)."""
    return {name: SecretStr(value) for name, value in environment.foreign(names).items()}


def storage_options() -> Mapping[str, str]:
    """The S3 client's own variables (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT` …), for a `storage_url` that needs them."""
    return environment.foreign(environment.names_with_prefix("AWS_"))


def catalog_path() -> Path | None:
    """Where the catalog's extension is, for what needs nothing else of the settings."""
    given = environment.read().get("YOUT_CATALOG")
    return Path(given) if given else None
