"""The production files: valid by the Compose Specification's own schema (version and licence: beside it, in `data/`),
true to `settings/` and to the commands there are, and as locked down as `docs/production.md` says."""

import importlib
import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from shutil import copy2, copytree, ignore_patterns
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from cli.command import COMMANDS
from dev.postgres import QUIET
from dev.temporal import DYNAMIC_CONFIG
from gateway.calls import SETTLE_SECONDS
from settings import Settings
from tests.support.stack import SECRET
from workflows.options import QUEUES, SUBMITTING

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = ("api", "worker", "migrate")
REACHABLE = {"api", "temporal-ui"}
SAYS_NOTHING = {
    "log_statement",
    "log_min_duration_statement",
    "log_min_messages",
    "log_min_error_statement",
    "log_error_verbosity",
    "log_parameter_max_length",
    "log_parameter_max_length_on_error",
}

validator = importlib.import_module("jsonschema").Draft202012Validator  # by name: it has no types


def _example(commented: bool = False) -> dict[str, str]:
    """`.env.example` as Compose reads it, once its secrets are filled in; or what it shows in comments."""
    if commented:
        return dict(re.findall(r"^# ([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE, re.MULTILINE))
    secrets = re.sub(r"^(\w*PASSWORD|YOUT_SECRET_KEY)=$", rf"\1={SECRET}", EXAMPLE, flags=re.MULTILINE)
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(secrets)).items()}


def _as_fields(variables: Mapping[str, str]) -> dict[str, Any]:
    return {name[5:].lower(): value for name, value in variables.items() if name.startswith("YOUT_")}


def _seconds(duration: str) -> timedelta:
    return timedelta(seconds=int(duration.removesuffix("s")))


def _lock(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ \\]+)", (ROOT / name).read_text(), re.MULTILINE))


def test_the_file_is_valid_compose() -> None:
    schema = json.loads((Path(__file__).parent / "data" / "compose-spec.json").read_text())
    validator.check_schema(schema)
    assert [error.message for error in validator(schema).iter_errors(yaml.safe_load(COMPOSE))] == []


def test_the_schema_refuses_what_compose_does_not_know() -> None:
    schema = json.loads((Path(__file__).parent / "data" / "compose-spec.json").read_text())
    assert list(validator(schema).iter_errors({"services": {"api": {"image": "a", "restarts": "always"}}}))


def test_every_setting_named_exists_and_every_required_one_is_given() -> None:
    given = {name for service in SERVICES.values() for name in service.get("environment", {})}
    shown = set(_example()) | set(_example(commented=True))
    in_image = set(re.findall(r"YOUT_[A-Z_]+(?==)", DOCKERFILE))
    named = {name for name in given | shown | in_image if name.startswith("YOUT_")}
    assert named <= {f"YOUT_{field.upper()}" for field in Settings.model_fields}
    required = {f"YOUT_{name.upper()}" for name, field in Settings.model_fields.items() if field.is_required()}
    assert required <= set(_example())
    for ours in OURS:
        assert required <= SERVICES[ours]["environment"].keys()


def test_the_example_makes_settings_and_its_comments_show_the_defaults() -> None:
    example = _as_fields(_example())
    settings = Settings(**example)
    assert settings.database_url.get_secret_value() == f"postgresql://yout_app:{SECRET}@postgres:5432/yout"
    assert settings.migration_database_url is not None
    assert settings.migration_database_url.get_secret_value() == f"postgresql://yout:{SECRET}@postgres:5432/yout"
    commented = _as_fields(_example(commented=True))
    assert commented
    assert Settings(**example, **commented) == settings


def test_the_owner_of_the_tables_is_known_to_the_migration_alone() -> None:
    owner = "YOUT_MIGRATION_DATABASE_URL"
    assert SERVICES["migrate"]["environment"][owner] == f"${{{owner}:-}}"
    assert [SERVICES[name]["environment"][owner] for name in ("api", "worker")] == ["", ""]


def test_every_variable_is_in_the_example() -> None:
    used = set(re.findall(r"(?<!\$)\$\{?([A-Z][A-Z0-9_]*)", COMPOSE))
    assert used <= set(_example())
    assert {"YOUT_SECRET_KEY", "POSTGRES_PASSWORD", "TEMPORAL_POSTGRES_PASSWORD"} <= used


def test_the_example_shows_provider_keys_that_the_catalog_reads() -> None:
    catalog = tomllib.loads((ROOT / "catalog" / "catalog.toml").read_text())
    keys = {provider.get("api_key_env") for provider in catalog["providers"].values()}
    others = {name for name in _example(commented=True) if not name.startswith(("YOUT_", "AWS_"))}
    assert others
    assert others <= keys


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned_by_its_version(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"[a-z]+(/[a-z-]+)?:\d+(\.\d+)+(-[a-z]+)?", image)
    if name in OURS:
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        assert image == f"yout:{version}"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_little_harm(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["ulimits"] == {"core": 0}
    user, group = service["user"].split(":")
    assert min(int(user), int(group)) > 0
    assert all("nosuid,nodev,noexec" in mount for mount in service["tmpfs"])
    assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "container_name"} & service.keys()


def test_only_the_api_and_on_loopback_the_ui_are_reachable() -> None:
    networks = yaml.safe_load(COMPOSE)["networks"]
    assert {name for name, service in SERVICES.items() if service.get("ports")} == REACHABLE
    assert SERVICES["temporal-ui"]["ports"][0].startswith("127.0.0.1:")
    assert SERVICES["api"]["ports"] == ["${YOUT_HOST:-127.0.0.1}:${YOUT_PORT:-8080}:8080"]
    for name in SERVICES.keys() - REACHABLE - set(OURS):
        assert all(networks[network]["internal"] for network in SERVICES[name]["networks"]), name
    database = {name for name, service in SERVICES.items() if "database" in service["networks"]}
    assert database == {"postgres", *OURS}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_can_come(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        if wait["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"].startswith("on-failure")
        optional = set(SERVICES[other].get("profiles", ())) - set(SERVICES[name].get("profiles", ()))
        assert wait.get("required", True) is not bool(optional)


@pytest.mark.parametrize("name", OURS)
def test_a_command_exists(name: str) -> None:
    python, switch, module, *words = SERVICES[name]["command"]
    assert (python, switch) == ("python", "-m")
    spec = find_spec(f"{module}.__main__") if (ROOT / module).is_dir() else find_spec(module)
    assert spec
    assert spec.origin
    assert Path(spec.origin).is_relative_to(ROOT)
    if words:
        assert words[0] in COMMANDS


def test_a_process_has_time_to_stop() -> None:
    drain = Settings(**_as_fields(_example())).shutdown_timeout + timedelta(seconds=5)
    after = {"api": timedelta(seconds=SETTLE_SECONDS), "worker": SUBMITTING["start_to_close_timeout"] or timedelta.max}
    for name, longest in after.items():
        assert _seconds(SERVICES[name]["stop_grace_period"]) >= drain + longest


@pytest.mark.parametrize("name", ["postgres", "temporal-postgres"])
def test_postgres_forgets_nothing_and_tells_nothing(name: str) -> None:
    options = dict(word.removeprefix("--").split("=", 1) for word in SERVICES[name]["command"][1:])
    assert {options[setting] for setting in ("fsync", "synchronous_commit", "full_page_writes")} == {"on"}
    log_options = {option: value for option, value in options.items() if option.startswith("log_")}
    assert log_options == {option: value for option, value in QUIET.items() if option in SAYS_NOTHING}
    assert len(log_options) == len(SAYS_NOTHING)


def test_temporal_is_set_up_as_in_development() -> None:
    configured = yaml.safe_load(SERVICES["temporal"]["environment"]["DYNAMIC_CONFIG"])
    assert configured == {name: [{"value": yaml.safe_load(value)}] for name, value in DYNAMIC_CONFIG.items()}


def test_a_secret_is_where_it_is_needed() -> None:
    for name in ("api", "worker"):
        environment = SERVICES[name]["environment"]
        assert environment["POSTGRES_PASSWORD"] == environment["TEMPORAL_POSTGRES_PASSWORD"] == ""
    for name in SERVICES.keys() - set(OURS):
        assert "env_file" not in SERVICES[name]
        assert not {"YOUT_SECRET_KEY", "YOUT_DATABASE_URL"} & SERVICES[name]["environment"].keys()


def test_the_image_is_built_of_hashed_wheels_for_a_user_without_rights() -> None:
    runtime = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    users = re.findall(r"^USER (\d+):(\d+)$", runtime, re.MULTILINE)
    assert [f"{user}:{group}" for user, group in users] == [SERVICES["api"]["user"]]
    assert re.search(r"^USER \d", runtime, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE
    assert "requirements-production.lock" in DOCKERFILE
    for text in (DOCKERFILE, (ROOT / "requirements-production.lock").read_text()):
        assert not re.search(r"://|index-url|find-links|trusted-host|PIP_", text)
    for line in re.findall(r"^(?:CMD|    CMD|ENTRYPOINT) (.*)$", DOCKERFILE, re.MULTILINE):
        assert json.loads(line)[0] == "python"


def test_all_that_the_image_imports_is_compiled_in_it() -> None:
    """Nobody writes there later: each process would compile it anew, for longer than all the rest of its start."""
    compiled = re.findall(r"python -m compileall (.*?)(?: \\\\)?$", DOCKERFILE, re.MULTILINE)
    places = {word for words in compiled for word in words.split() if word.startswith("/")}
    assert places == {"/usr/local/lib/python3.*", "/opt/venv/lib", "/app"}
    assert all("-f" in words.split() and "--invalidation-mode unchecked-hash" in words for words in compiled)
    base, runtime = DOCKERFILE.rsplit("\nFROM ", 1)
    assert re.match(r"python:3\.\d+-slim", runtime)
    assert base.index("COPY . /app") < base.index("compileall") > base.index("/tmp/wheels/*.whl")


def test_a_slow_start_is_not_unhealthy() -> None:
    """On a machine that is busy a start takes minutes; `docker compose up --wait` would give up."""
    (period,) = re.findall(r"--start-period=(\d+)s", DOCKERFILE)
    assert timedelta(seconds=int(period)) >= timedelta(minutes=3)


def test_the_production_lock_is_the_tested_versions_without_servers_and_encoders() -> None:
    production, everything = _lock("requirements-production.lock"), _lock("requirements.lock")
    assert production.items() <= everything.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[>=<~! ]", needed)[0] for needed in project["dependencies"]}
    assert wanted <= production.keys()
    extras = [needed for extra in ("embedded", "demo") for needed in project["optional-dependencies"][extra]]
    assert not {re.split(r"[\[>=<~! ]", needed)[0] for needed in extras} & production.keys()


def _copied(folder: Path) -> None:
    """What `COPY . /app` takes: the ignore file lets through what it names with an exclamation mark."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    for pattern in (line[1:] for line in lines if line.startswith("!")):
        paths = list(ROOT.glob(pattern))
        assert paths, pattern
        for path in paths:
            if path.is_dir():
                copytree(path, folder / path.name, ignore=ignore_patterns("__pycache__"))
            else:
                copy2(path, folder / path.name)


def test_the_image_holds_all_that_runs(tmp_path: Path) -> None:
    _copied(tmp_path)
    assert not list(tmp_path.glob(".*"))
    code = (
        "import sys, server, worker, cli, wiring; from db import migrate\n"
        "assert wiring.load_catalog(None).models\n"
        "from web import guide, reference; assert guide.topics(); assert reference.load().operations\n"
        "print(*{getattr(m, '__file__', None) or '' for m in list(sys.modules.values())}, sep='\\n')"
    )
    words = [sys.executable, "-c", code]
    env = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    outside = [name for name in ran.stdout.split() if Path(name).is_relative_to(ROOT) and ".venv" not in name]
    assert outside == []


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == self.server.healthy else 503)  # type: ignore[attr-defined]  # below
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Not in the tests' output."""


@contextmanager
def _answering(healthy: str) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    server.healthy = healthy  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("healthy", "code"), [("/healthz", 0), ("/nothing", 1)])
def test_the_images_health_check_tells(healthy: str, code: int) -> None:
    words = json.loads(re.findall(r"^    CMD (.*)$", DOCKERFILE, re.MULTILINE)[0])
    with _answering(healthy) as port:
        ran = subprocess.run([sys.executable, *words[1:]], env={"YOUT_PORT": str(port)}, timeout=120)
    assert ran.returncode == code


def test_no_page_sends_a_signal_by_docker() -> None:
    """Docker takes what it has sent a signal for stopped by hand: no restart policy holds for it any more."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.sh")]
    sent = [
        page.name
        for page in pages
        if re.search(r"(docker|compose) kill --signal|(docker|compose) kill -s", page.read_text())
    ]
    assert sent == []


def test_the_page_names_every_task_queue() -> None:
    page = (ROOT / "docs" / "workers.md").read_text()
    assert [queue for queue in QUEUES if f"`{queue}`" not in page] == []
