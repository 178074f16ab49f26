"""The environment of this process, and what a running `make dev` wrote down. Nothing else reads either.

Needs nothing but the standard library: a command that only needs the database's URL starts without `settings`.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

PREFIX = "YOUT_"
DEV_FILE = "dev.json"
SECRET_FILE = "secret.key"  # noqa: S105  # a file name
DEFAULT_STATE_DIR = ".yout"
DATABASE_SCHEMES = ("postgresql://", "postgres://")
DATABASE_URL_FORM = "write it as postgresql://user:password@host:port/database"

RENAMED = {
    "YOUT_READ_ON": "YOUT_ABANDONED_STREAM_TIMEOUT",
    "YOUT_MOST_READ_ON": "YOUT_MAX_ABANDONED_STREAMS",
    "YOUT_DRAIN": "YOUT_SHUTDOWN_TIMEOUT",
    "YOUT_KEEP_HOLDS": "YOUT_HOLD_RETENTION",
    "YOUT_KEEP_USAGE": "YOUT_USAGE_RETENTION",
    "YOUT_KEEP_AUDITS": "YOUT_AUDIT_RETENTION",
}
"""Settings of earlier versions. They are refused: one that was silently ignored would change what a process does."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NOT_SET = (
    "is not set, and no stack was started here: run `make dev`, or set it (YOUT_STATE_DIR if its state is elsewhere)"
)


class SettingsInvalid(ValueError):
    """Each problem is one line that names the setting, and never its value."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def read(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every `YOUT_…` variable without white space around its value, such as a secret file's last newline."""
    given = os.environ if environment is None else environment
    values = {name.upper(): value.strip() for name, value in given.items() if name.upper().startswith(PREFIX)}
    problems = [f"{old} is now called {new}" for old, new in RENAMED.items() if values.pop(old, "")]
    problems += [f"{name} {problem}" for name, value in values.items() if (problem := _unusable(value))]
    if problems:
        raise SettingsInvalid(problems)
    return values


def _unusable(value: str) -> str | None:
    if _CONTROL.search(value):
        return "contains a line break or another control character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    return None


def foreign(names: Iterable[str]) -> dict[str, str]:
    """Variables that are not ours, those that are set, without white space around: provider keys, the S3 client's."""
    values = {name: value for name in names if (value := os.environ.get(name, "").strip())}
    problems = [f"{name} {problem}" for name, value in values.items() if (problem := _unusable(value))]
    if problems:
        raise SettingsInvalid(problems)
    return values


_TRACE_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_TRACE_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OTLP, _NONE, _HTTP, _USUAL_RECEIVER = "otlp", "none", "http/protobuf", "http://localhost:4318"


def trace_receiver() -> str | None:
    """Return the URL of what receives traces by the `OTEL_*` variables; None: no traces are exported.

    OpenTelemetry's library reads the rest of them. Raises `SettingsInvalid` for another exporter or protocol.
    """
    given = foreign(("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", *_TRACE_ENDPOINTS, *_TRACE_PROTOCOLS))
    receivers = [given[name] for name in _TRACE_ENDPOINTS if name in given]
    exporter = given.get("OTEL_TRACES_EXPORTER", _OTLP if receivers else _NONE)
    if exporter == _NONE or given.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    problems = [] if exporter == _OTLP else [f"OTEL_TRACES_EXPORTER: write {_OTLP} or {_NONE}"]
    problems += [f"{name}: write {_HTTP}" for name in _TRACE_PROTOCOLS if given.get(name, _HTTP) != _HTTP]
    if problems:
        raise SettingsInvalid(problems)
    return receivers[0] if receivers else _USUAL_RECEIVER


def names_with_prefix(prefix: str) -> list[str]:
    return [name for name in os.environ if name.startswith(prefix)]


def running_dev(state_dir: str | Path | None) -> dict[str, str]:
    """Settings that a running `make dev` wrote into its state folder, by their field names."""
    state = Path(state_dir or DEFAULT_STATE_DIR)
    values: dict[str, str] = {}
    try:
        if (state / DEV_FILE).is_file():
            written = json.loads((state / DEV_FILE).read_text(encoding="utf-8"))
            fields = {name: name for name in ("database_url", "migration_database_url", "temporal_address", "catalog")}
            fields |= {"api_url": "public_url", "email_verification": "email_verification"}
            values = {field: str(written[name]) for name, field in fields.items() if name in written}
        if (state / SECRET_FILE).is_file():
            values["secret_key"] = (state / SECRET_FILE).read_text(encoding="utf-8").strip()
    except (OSError, ValueError, TypeError) as error:
        problem = f"the state folder {state} cannot be read ({type(error).__name__}): mend it, or set YOUT_STATE_DIR"
        raise SettingsInvalid([problem]) from None
    return values


def database_url() -> str:
    """For a command that needs nothing else. Raises `SettingsInvalid`."""
    values = read()
    url = values.get("YOUT_DATABASE_URL") or running_dev(values.get("YOUT_STATE_DIR")).get("database_url")
    if not url:
        raise SettingsInvalid([f"YOUT_DATABASE_URL {NOT_SET}"])
    if not url.startswith(DATABASE_SCHEMES):
        raise SettingsInvalid([f"YOUT_DATABASE_URL: {DATABASE_URL_FORM}"])
    return url


def migration_database_url() -> str:
    """Of the role that owns the schema. Not set: that of the application. Raises `SettingsInvalid`."""
    values = read()
    url = values.get("YOUT_MIGRATION_DATABASE_URL")
    if not url and not values.get("YOUT_DATABASE_URL"):
        url = running_dev(values.get("YOUT_STATE_DIR")).get("migration_database_url")
    if url and not url.startswith(DATABASE_SCHEMES):
        raise SettingsInvalid([f"YOUT_MIGRATION_DATABASE_URL: {DATABASE_URL_FORM}"])
    return url or database_url()
