"""`deploy/compose`: valid, true to `settings/`, each fleet with what `docs/workers.md` gives it and no more, and nginx
with the bounds that `docs/production.md` names."""

import hashlib
import importlib
import ipaddress
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from gateway.calls import SETTLE_SECONDS
from settings import Settings, WorkflowWorkerSettings
from tests.support.stack import SECRET
from workflows import options
from workflows.options import LEDGER, MAINTENANCE, MEDIA_QUEUES, PURGE, QUEUES, WEBHOOKS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "compose"
TEXT = (FOLDER / "compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
TRACES: dict[str, Any] = yaml.safe_load((FOLDER / "traces.yml").read_text())
"""What the override file adds."""
ONE_MACHINE: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
EVERY = {**SERVICES, "traces": TRACES["services"]["traces"]}
EXAMPLE = (FOLDER / ".env.example").read_text()
NGINX = {path.name: path.read_text() for path in sorted((FOLDER / "nginx").iterdir())}
APIS = ("api-1", "api-2", "api-3")
WORKERS = tuple(name for name in SERVICES if name.startswith("worker-"))
SHARED = ("postgres", "temporal-postgres", "temporal-schema", "temporal", "temporal-namespace")
PROGRAMS = {
    **{image: {"nc", "wget"} for image in ("temporalio/server", "temporalio/ui", "prom/prometheus")},
    **{image: {"curl", "nc", "wget"} for image in ("chrislusf/seaweedfs", "grafana/grafana")},
    "nginx": {"curl"},
    "postgres": {"pg_isready"},
    "yout": {"python"},
}
"""What each image can look at itself with, by the file that it is built by. Anything else is unhealthy for ever."""
VERSION = r":v?\d+(\.\d+)+(-[a-z]+)?(@sha256:[0-9a-f]{64})?"

validator = importlib.import_module("jsonschema").Draft202012Validator  # by name: it has no types


def _environment(name: str) -> Mapping[str, str]:
    return dict(SERVICES[name].get("environment", {}))


def _example() -> dict[str, str]:
    secrets = re.sub(r"^(\w*PASSWORD|AWS_\w+|YOUT_SECRET_KEY)=$", rf"\1={SECRET}", EXAMPLE, flags=re.MULTILINE)
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(secrets)).items()}


def _filled(value: str) -> str:
    """A value as Compose reads it with the example's variables."""
    return re.sub(r"\$\{([A-Z0-9_]+)(?::[-?][^}]*)?\}", lambda match: _example()[match[1]], value)


def _settings(name: str) -> dict[str, Any]:
    given = _environment(name)
    return {key[5:].lower(): _filled(value) for key, value in given.items() if key.startswith("YOUT_")}


def _networks(name: str) -> set[str]:
    return set(SERVICES[name].get("networks", ()))


def _directive(name: str) -> list[str]:
    """All values of a directive of nginx."""
    return re.findall(rf"^\s*{name}\s+(.*?);", "\n".join(NGINX.values()), re.MULTILINE)


@pytest.mark.parametrize("document", [COMPOSE, TRACES], ids=["compose", "traces"])
def test_a_file_is_valid_compose(document: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "data" / "compose-spec.json").read_text())
    assert [error.message for error in validator(schema).iter_errors(document)] == []


def test_traces_reach_their_receiver_from_every_process() -> None:
    receiver = TRACES["services"]["traces"]
    for name in (*APIS, *WORKERS):
        added = TRACES["services"][name]
        assert added["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://traces:4318"
        assert "traces" in added["networks"]
    assert TRACES["services"].keys() == {*APIS, *WORKERS, "traces"}
    assert TRACES["networks"]["traces"]["internal"]
    assert "traces" in receiver["networks"]
    assert receiver["ports"][0].startswith("127.0.0.1:")


@pytest.mark.parametrize("name", EVERY)
def test_an_image_is_pinned(name: str) -> None:
    image = EVERY[name]["image"]
    assert re.fullmatch(rf"[a-z]+(/[a-z-]+)?{VERSION}", image)
    assert "latest" not in image
    if "build" in EVERY[name]:
        assert image == ONE_MACHINE["api"]["image"]


@pytest.mark.parametrize("name", SHARED)
def test_a_server_is_set_up_as_on_one_machine(name: str) -> None:
    assert SERVICES[name] == {key: value for key, value in ONE_MACHINE[name].items() if key != "profiles"}


def test_the_namespace_is_made_without_a_resolver_outside() -> None:
    """A program of Go's gRPC in internal networks alone: it waits for records that nobody there answers."""
    name = "temporal-namespace"
    assert all(COMPOSE["networks"][network]["internal"] for network in _networks(name))
    assert _environment(name)["TEMPORAL_ADDRESS"].startswith("passthrough:///")


@pytest.mark.parametrize("name", EVERY)
def test_a_service_can_do_little_harm(name: str) -> None:
    service = EVERY[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert min(int(part) for part in service["user"].split(":")) > 0
    assert all("nosuid,nodev,noexec" in mount for mount in service["tmpfs"])
    assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "container_name"} & service.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_there(name: str) -> None:
    service = SERVICES[name]
    assert _networks(name) <= COMPOSE["networks"].keys()
    assert service.get("depends_on", {}).keys() <= SERVICES.keys()
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        assert (
            source in COMPOSE["volumes"]
            or source in {"./nginx", "./certificates", "./config"}
            or (FOLDER / source).is_dir()
        )
    for other, wait in service.get("depends_on", {}).items():
        if wait["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        else:
            assert SERVICES[other]["restart"].startswith("on-failure")
    assert "healthcheck" in service or service["restart"].startswith("on-failure")


@pytest.mark.parametrize("services", [ONE_MACHINE, EVERY], ids=["one machine", "fleet"])
def test_an_image_has_the_program_of_its_health_check(services: dict[str, dict[str, Any]]) -> None:
    checks = {service["image"]: service.get("healthcheck", {}).get("test") for service in services.values()}
    looking = {image.split(":")[0]: test for image, test in checks.items() if test}
    assert {"postgres", "temporalio/server", "temporalio/ui"} <= looking.keys()
    for image, (form, program, *_) in looking.items():
        assert form == "CMD"
        assert program in PROGRAMS[image], image


def test_every_variable_is_in_the_example() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z][A-Z0-9_]*)", TEXT))
    assert used <= _example().keys()
    assert {name for name in _example() if name.startswith("YOUT_")} <= used | {"YOUT_HTTPS_ADDRESS"}


@pytest.mark.parametrize("name", [*APIS, *WORKERS])
def test_a_process_can_start_with_its_settings(name: str) -> None:
    given = _settings(name)
    if given.get("worker_role") == "workflows":
        beyond = given.keys() - WorkflowWorkerSettings.model_fields.keys()
        assert beyond <= Settings.model_fields.keys()
        known = {key: value for key, value in given.items() if key not in beyond}
        WorkflowWorkerSettings(**known | {"temporal_payload_keys": SECRET})
    else:
        Settings(**given)


@pytest.mark.parametrize("name", APIS)
def test_a_process_has_time_to_start(name: str) -> None:
    """Ten processes start at once; one that is unhealthy before its first answer leaves nginx unstarted."""
    assert int(SERVICES[name]["healthcheck"]["start_period"].removesuffix("s")) >= 180


@pytest.mark.parametrize("name", [*APIS, *WORKERS])
def test_a_process_has_time_to_stop(name: str) -> None:
    queues = set(_environment(name).get("YOUT_WORKER_QUEUES", "").split(","))
    longest = options.SUBMITTING["start_to_close_timeout"] if queues & {*MEDIA_QUEUES} else None
    after = longest or timedelta(seconds=SETTLE_SECONDS)
    drain = timedelta(seconds=float(_settings(name)["shutdown_timeout"]) + 5) + after
    assert timedelta(seconds=int(SERVICES[name]["stop_grace_period"].removesuffix("s"))) >= drain


def test_all_queues_are_served_by_one_fleet_each() -> None:
    deciding, *doing = (_settings(name) for name in WORKERS)
    assert deciding["worker_role"] == "workflows"
    assert "worker_queues" not in deciding
    assert {settings["worker_role"] for settings in doing} == {"activities"}
    assert sorted(",".join(settings["worker_queues"] for settings in doing).split(",")) == sorted(QUEUES)


@pytest.mark.parametrize("name", WORKERS)
def test_a_fleet_has_what_its_queues_need(name: str) -> None:
    queues = set(_settings(name).get("worker_queues", "").split(","))
    files = bool(queues & {*MEDIA_QUEUES, MAINTENANCE, PURGE})
    assert ("database" in _networks(name)) is bool(queues & set(QUEUES))
    assert ("YOUT_SECRET_KEY" in _environment(name)) is bool(queues & set(QUEUES))
    assert ("AWS_SECRET_ACCESS_KEY" in _environment(name)) is ("objects" in _networks(name)) is files
    assert ("env_file" in SERVICES[name]) is bool(queues & set(MEDIA_QUEUES))
    assert ("outside" in _networks(name)) is bool(queues & {*MEDIA_QUEUES, WEBHOOKS})
    assert "inside" not in _networks(name)
    if queues == {LEDGER}:
        assert _networks(name) == {"database", "temporal"}


def test_only_nginx_is_reachable_and_consoles_on_loopback() -> None:
    ports = {name: service["ports"][0] for name, service in SERVICES.items() if "ports" in service}
    consoles = {"temporal-ui", "prometheus", "grafana"}
    assert ports.keys() == {"nginx", *consoles}
    assert ports["nginx"].endswith(":443:8443")
    assert all(ports[name].startswith("127.0.0.1:") for name in consoles)
    for name in SERVICES.keys() - ports.keys() - {*APIS, *WORKERS}:
        assert all(COMPOSE["networks"][network]["internal"] for network in _networks(name)), name


def test_the_database_is_reached_by_ours_alone() -> None:
    ours = {name for name, service in SERVICES.items() if "build" in service}
    assert {name for name in SERVICES if "database" in _networks(name)} == {"postgres", *ours} - {"worker-decisions"}
    owner = {name for name in SERVICES if "YOUT_MIGRATION_DATABASE_URL" in _environment(name)}
    assert owner == {"migrate"}


def test_nginx_knows_every_api_process_and_is_believed() -> None:
    addresses = [SERVICES[name]["networks"]["inside"]["ipv4_address"] for name in APIS]
    assert re.findall(r"server ([\d.]+):8080 ", NGINX["api_servers.conf"]) == [*addresses, *addresses]
    assert _directive("proxy_next_upstream_tries") == [str(2 * len(addresses))]
    nginx = SERVICES["nginx"]["networks"]["inside"]["ipv4_address"]
    assert {_environment(name)["YOUT_TRUSTED_PROXIES"] for name in APIS} == {nginx}
    subnet = ipaddress.ip_network(COMPOSE["networks"]["inside"]["ipam"]["config"][0]["subnet"])
    assert all(ipaddress.ip_address(address) in subnet for address in (*addresses, nginx))


def test_prometheus_reads_every_api_process() -> None:
    read = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    assert read["static_configs"][0]["targets"] == [f"{name}:8080" for name in APIS]
    assert all("metrics" in _networks(name) for name in (*APIS, "prometheus"))


def test_prometheus_has_the_rules_and_grafana_the_dashboard() -> None:
    (rules,) = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())["rule_files"]
    assert (_mounted("prometheus", rules)).read_text() == (ROOT / "deploy/prometheus/rules.yml").read_text()
    (source,) = _provisioned("datasources/prometheus.yml")["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert "metrics" in _networks("grafana") & _networks("prometheus")
    (dashboards,) = _provisioned("dashboards/yout.yml")["providers"]
    assert (_mounted("grafana", dashboards["options"]["path"]) / "yout.json").is_file()


def _provisioned(file: str) -> Any:
    return yaml.safe_load(_mounted("grafana", f"/etc/grafana/provisioning/{file}").read_text())


def _mounted(service: str, path: str) -> Path:
    """Return the file here that the service sees there."""
    for volume in SERVICES[service]["volumes"]:
        source, there, *_ = volume.split(":")
        if Path(path).is_relative_to(there):
            return Path(FOLDER, source, Path(path).relative_to(there))
    raise AssertionError(path)


def test_nginx_waits_longer_than_the_api_for_providers_and_shorter_for_clients() -> None:
    settings = Settings(**_settings("api-1"))
    (reads,) = _directive("proxy_read_timeout")
    assert timedelta(seconds=int(reads.removesuffix("s"))) > settings.upstream_total_timeout
    (body,) = _directive("client_max_body_size")
    assert int(body.removesuffix("m")) * 1024 * 1024 > max(settings.max_body_bytes, settings.file_limits.largest)
    assert _directive("client_header_timeout") == ["10s"]
    assert _directive("large_client_header_buffers") == ["4 8k"]


def test_nginx_keeps_nothing_and_repeats_nothing() -> None:
    for directive in ("proxy_buffering", "proxy_request_buffering", "proxy_cache"):
        assert _directive(directive) == ["off"]
    assert _directive("proxy_max_temp_file_size") == ["0"]
    assert _directive("proxy_next_upstream") == ["error timeout"]
    assert _directive("keepalive") == []
    (logged,) = re.findall(r"log_format safe (.*?);", NGINX["nginx.conf"], re.DOTALL)
    assert set(re.findall(r"\$(\w+)", logged)) == {
        *("time_iso8601", "upstream_http_x_request_id", "method", "route", "status", "bytes_sent"),
        *("request_time", "upstream_addr", "upstream_status", "upstream_header_time"),
    }
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in NGINX["proxied.conf"]


def test_what_nginx_answers_itself_is_an_error_of_ours() -> None:
    table = (ROOT / "docs" / "errors.md").read_text()
    answers = re.findall(r"return (\d{3}) '(.*?)';", NGINX["nginx.conf"])
    assert len(answers) == 6
    for status, body in answers:
        code = json.loads(body)["error"]["code"]
        row = f"| `{code}` | {status} |" if code else f"| null | {status} |"
        assert code in {"invalid_request", "request_timeout"} or row in table


def test_images_get_their_digests(tmp_path: Path) -> None:
    """By the script, with a registry that has one digest for each image; twice, which changes nothing more."""
    folder, double = tmp_path / "compose", tmp_path / "double"
    shutil.copytree(FOLDER, folder)
    double.write_text('#!/bin/sh\nprintf "sha256:%s" "$(printf "$1" | sha256sum | cut -d " " -f 1)"\n')
    double.chmod(0o755)
    for _ in range(2):
        subprocess.run(["sh", folder / "pin.sh"], env={"PATH": os.defpath, "DIGEST_OF": str(double)}, check=True)
    text = (folder / "compose.yml").read_text()
    images = {name: service["image"] for name, service in yaml.safe_load(text)["services"].items()}
    for name, service in SERVICES.items():
        pinned = service["image"] if "build" in service else f"{service['image']}@{_digest(service['image'])}"
        assert images[name] == pinned
    assert re.sub(r"@sha256:\w+", "", text) == TEXT
    receiver = TRACES["services"]["traces"]["image"]
    assert f"{receiver}@{_digest(receiver)}" in (folder / "traces.yml").read_text()


@pytest.mark.parametrize(
    ("registry", "complaint"),
    [
        ("echo latest", 'pin.sh: {image} has no digest but "latest"'),
        ("echo first >&2; echo away >&2; exit 1", "pin.sh: no digest of {image}: away"),
        ("", "pin.sh: it needs Docker's plugin buildx, which asks the registries"),
    ],
)
def test_what_keeps_digests_away_is_one_line(tmp_path: Path, registry: str, complaint: str) -> None:
    folder, double = tmp_path / "compose", tmp_path / "docker"
    shutil.copytree(FOLDER, folder)
    double.write_text(f"#!/bin/sh\n{registry or 'echo help >&2; exit 1'}\n")
    double.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.defpath}"} | ({"DIGEST_OF": str(double)} if registry else {})
    refused = subprocess.run(["sh", folder / "pin.sh"], env=environment, capture_output=True, text=True)
    first = min(service["image"] for service in EVERY.values())
    assert (refused.returncode, refused.stderr) == (1, complaint.format(image=first) + "\n")
    assert (folder / "compose.yml").read_text() == TEXT


def _digest(image: str) -> str:
    return f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"


@pytest.mark.parametrize("other", [("", ""), ("new", "its secret")])
def test_the_store_takes_two_keys_while_one_is_rotated(tmp_path: Path, other: tuple[str, str]) -> None:
    """By the container's own script, up to the program."""
    (script,) = SERVICES["objects"]["command"]
    assert SERVICES["objects"]["entrypoint"] == ["sh", "-euc"]
    names = [name for name in _environment("objects") if name.startswith("AWS_")]
    environment = dict(zip(names, ("old", "a secret", *other), strict=True)) | {"PATH": os.defpath}
    ours = script.replace("$$", "$").replace("/tmp/", f"{tmp_path}/").partition("exec weed")[0]
    assert subprocess.run(["sh", "-euc", ours], env=environment).returncode == 0
    (identity,) = json.loads((tmp_path / "identities.json").read_text())["identities"]
    keys = [(key["accessKey"], key["secretKey"]) for key in identity["credentials"]]
    assert keys == [key for key in (("old", "a secret"), other) if key[0]]
    assert (tmp_path / "identities.json").stat().st_mode & 0o077 == 0


def test_processes_are_restarted_one_after_the_other(tmp_path: Path) -> None:
    """By the script, with a Compose that writes down its calls. It ends at the first that does not get healthy."""
    folder = tmp_path / "compose"
    shutil.copytree(FOLDER, folder)
    calls, double = folder / "calls", folder / "double"
    double.write_text(f'#!/bin/sh\necho "$*" >> {calls}\ncase "$*" in *" api-9") exit 1 ;; esac\n')
    double.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "COMPOSE": str(double), "PAUSE": "0"}
    words = "up --detach --no-deps --force-recreate --wait"
    for services, code, remade in ((), 0, APIS), (("api-9", "api-2"), 1, ("api-9",)):
        ran = subprocess.run(["sh", folder / "roll.sh", *services], env=environment, capture_output=True)
        assert ran.returncode == code
        assert calls.read_text().splitlines() == [f"{words} {service}" for service in remade]
        calls.unlink()


def test_a_process_is_asked_again_before_the_next_one_stops() -> None:
    (away,) = set(re.findall(r"fail_timeout=(\d+)s", NGINX["api_servers.conf"]))
    (pause,) = re.findall(r"PAUSE:-(\d+)", (FOLDER / "roll.sh").read_text())
    assert int(pause) > int(away)
