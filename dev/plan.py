"""The settings of a stack, and the programs that it runs."""

import hmac
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from signal import SIGTERM

from pydantic import ValidationError

import environment
from dev.bytecode import bytecode
from dev.child import Program
from dev.demo import EMAIL
from dev.errors import CannotStart
from dev.temporal import NAMESPACE
from settings import Settings, problems

ROOT = Path(__file__).resolve().parent.parent
UNKNOWN_YET = "postgresql://127.0.0.1/yout"
MARGIN = 5.0
"""Seconds that a process gets to end, in addition to its own shutdown timeout."""

EMBEDDED_ONLY = ("YOUT_DATABASE_URL", "YOUT_MIGRATION_DATABASE_URL", "YOUT_TEMPORAL_ADDRESS")
"""Settings that the stack sets itself, whatever the environment says."""
FOREIGN = ("PG", "TEMPORAL_")
"""Prefixes of variables that would redirect one of our clients to another server."""


def _python(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *words)


@dataclass(frozen=True, kw_only=True)
class Commands:
    """Our own programs, as data, so that a test can replace them."""

    migrate: tuple[str, ...] = _python("cli", "migrate")
    worker: tuple[str, ...] = _python("worker")
    api: tuple[str, ...] = _python("api")
    account: tuple[str, ...] = (
        *_python("cli", "accounts", "create"),
        *("--email", EMAIL, "--credits", "1000000", "--exist-ok", "--json"),
    )
    reset_link: tuple[str, ...] = _python("cli", "accounts", "reset-link", EMAIL, "--json")
    search_attributes: tuple[str, ...] = (
        *(sys.executable, "-c"),
        "import json; from temporal.attributes import DEFINITIONS; print(json.dumps(dict(DEFINITIONS)))",
    )
    """It runs in its own process: the module imports the whole Temporal SDK, which takes a second or more."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One stack: its addresses, its programs, and the environment that they inherit."""

    settings: Settings
    commands: Commands
    given: Mapping[str, str] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)

    @property
    def api_url(self) -> str:
        """The API as seen from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.settings.host, self.settings.host)  # noqa: S104
        return f"http://[{host}]:{self.settings.port}" if ":" in host else f"http://{host}:{self.settings.port}"

    @property
    def codec_token(self) -> str:
        """The token by which the operator of this stack reads what is encrypted in Temporal."""
        return self.environment["YOUT_CODEC_TOKENS"].split(",")[0].partition(":")[2]

    @property
    def ports(self) -> Mapping[str, tuple[str, int]]:
        """The host and port of each listener, by the setting that changes it."""
        return {
            "YOUT_PORT": (self.settings.host, self.settings.port),
            "YOUT_TEMPORAL_PORT": ("127.0.0.1", self.settings.temporal_port),
            "YOUT_TEMPORAL_UI_PORT": ("127.0.0.1", self.settings.temporal_ui_port),
        }

    def program(self, name: str, command: tuple[str, ...], database_url: str) -> Program:
        return Program(
            name=name,
            command=command,
            environment={
                **self.environment,
                "YOUT_DATABASE_URL": database_url,
                "YOUT_MIGRATION_DATABASE_URL": "",
            },
            folder=ROOT,
            ending=((SIGTERM, self.settings.shutdown_timeout.total_seconds() + MARGIN),),
        )

    def errand(self, name: str, command: tuple[str, ...], database_url: str, owner: str = "") -> Program:
        """Return a program that does one thing and ends. `owner` is the database URL for migrations."""
        program = self.program(name, command, database_url)
        given = {**program.environment, "YOUT_MIGRATION_DATABASE_URL": owner}
        return replace(program, environment=given, ending=((SIGTERM, 3.0),))


def read(given: Mapping[str, str], state: Path, secret: str, commands: Commands) -> Plan:
    """Make the plan for an environment. Raises `CannotStart` that names each wrong variable."""
    settings = _validated(given, state, secret)
    inherited = {name: value for name, value in given.items() if not name.startswith(FOREIGN)}
    plan = Plan(settings=settings, commands=commands, given=given, environment=inherited)
    ours = {
        "YOUT_STATE_DIR": str(state),
        "YOUT_HOST": settings.host,
        "YOUT_PORT": str(settings.port),
        "YOUT_PUBLIC_URL": given.get("YOUT_PUBLIC_URL") or plan.api_url,
        "YOUT_SECRET_KEY": settings.secret_key.get_secret_value(),
        "YOUT_TEMPORAL_ADDRESS": f"127.0.0.1:{settings.temporal_port}",
        "YOUT_TEMPORAL_NAMESPACE": NAMESPACE,
        "YOUT_TEMPORAL_MAINTENANCE_NAMESPACE": "",
        "YOUT_TEMPORAL_TLS": "false",
        # Without a mail server, a sign-up would wait for a link that nobody gets.
        "YOUT_EMAIL_VERIFICATION": given.get("YOUT_EMAIL_VERIFICATION")
        or str(bool(given.get("YOUT_SMTP_URL"))).lower(),
        "YOUT_TEMPORAL_API_KEY": "",
        **_codec(settings),
        "PYTHONUNBUFFERED": "1",  # lines as they come, although they go through a pipe
    }
    if settings.catalog is not None:
        ours["YOUT_CATALOG"] = str(settings.catalog.absolute())  # the programs run in another folder
    return replace(plan, environment={**inherited, **ours, **bytecode(given, state)})


def _codec(settings: Settings) -> Mapping[str, str]:
    """Let Temporal's UI of this stack show payloads. The token changes with the secret, and never by itself."""
    key = settings.secret_key.get_secret_value().encode()
    token = f"dev:{hmac.new(key, b'codec of the embedded stack', sha256).hexdigest()}"
    pages = ",".join(f"http://{host}:{settings.temporal_ui_port}" for host in ("127.0.0.1", "localhost"))
    return {
        "YOUT_CODEC_TOKENS": settings.codec_tokens.get_secret_value() or token,
        "YOUT_CODEC_ORIGINS": settings.codec_origins or pages,
    }


def _validated(given: Mapping[str, str], state: Path, secret: str) -> Settings:
    try:
        values = environment.read(given)
        fields: dict[str, object] = {
            name: values[variable] for name in Settings.model_fields if values.get(variable := f"YOUT_{name.upper()}")
        }
        fields |= {"state_dir": state, "database_url": UNKNOWN_YET}
        fields.setdefault("secret_key", secret)
        return Settings(**fields)  # type: ignore[arg-type]
    except (environment.SettingsInvalid, ValidationError) as invalid:
        lines = problems(invalid) if isinstance(invalid, ValidationError) else invalid.problems
        wrong = "\n".join(f"  {problem}" for problem in lines)
        raise CannotStart(f"These settings are not usable:\n{wrong}") from None
