"""Settings: what surrounds a value is not part of it, old names are refused, and what is wrong is named."""

import json
import os
from pathlib import Path

import pytest

import environment
import settings as configuration
from domain.secrets import Purpose, Secrets
from environment import RENAMED, SettingsInvalid

SECRET = os.urandom(32).hex()
RIGHT = {"YOUT_DATABASE_URL": "postgresql://u:p@h/d", "YOUT_SECRET_KEY": SECRET}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no stack of the machine that runs the tests."""
    for name in RIGHT:
        monkeypatch.setenv(name, RIGHT[name])
    monkeypatch.setenv("YOUT_STATE_DIR", str(tmp_path))


def wrong() -> tuple[str, ...]:
    with pytest.raises(SettingsInvalid) as invalid:
        configuration.load()
    return invalid.value.problems


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("YOUT_PORT", "canary", "must be a whole number"),
        ("YOUT_PORT", "8000.5", "must be a whole number"),
        ("YOUT_MAX_IMAGE_MIB", "0", "must be at least 1"),
        ("YOUT_PRESIGNED_LIFETIME", "canary", "must be a number"),
        ("YOUT_PRESIGNED_LIFETIME", "900", "must be at most 5 minutes"),
        ("YOUT_EMAIL_VERIFICATION", "canary", "must be true or false"),
        ("YOUT_LOG_FORMAT", "canary", "must be 'console' or 'json'"),
        (
            "YOUT_OPERATOR_CONTACT",
            "canary",
            "must be an e-mail address, or a link that begins with http:// or https://",
        ),
    ],
)
def test_a_setting_that_is_wrong_says_what_it_must_be(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(name, value)
    assert wrong() == (f"{name}: {problem}",)


def test_white_space_around_a_value_is_not_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (RIGHT | {"YOUT_PORT": "81", "YOUT_CATALOG": "/c.toml", "YOUT_TEMPORAL_API_KEY": "k"}).items():
        monkeypatch.setenv(name, f" {value}\r\n")
    monkeypatch.setenv("A_PROVIDERS_KEY", "sk-abc\n")
    monkeypatch.setenv("AWS_REGION", "there \n")
    loaded = configuration.load()
    assert loaded.database_url.get_secret_value() == RIGHT["YOUT_DATABASE_URL"]
    assert loaded.secret_key.get_secret_value() == SECRET
    assert (loaded.port, loaded.catalog) == (81, Path("/c.toml"))
    assert loaded.temporal_api_key is not None
    assert loaded.temporal_api_key.get_secret_value() == "k"
    assert configuration.catalog_path() == Path("/c.toml")
    keys = configuration.provider_keys(["A_PROVIDERS_KEY", "ANOTHER_PROVIDERS_KEY"])
    assert {name: key.get_secret_value() for name, key in keys.items()} == {"A_PROVIDERS_KEY": "sk-abc"}
    assert configuration.storage_options()["AWS_REGION"] == "there"
    assert environment.database_url() == RIGHT["YOUT_DATABASE_URL"]


@pytest.mark.parametrize("value", ["sk-a\nb", "sk-\x00", "sk-\x7f", "sk-\udcff"])
def test_what_no_header_can_carry_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"^YOUT_REFERER (contains|is not valid)"):
        environment.read({"YOUT_REFERER": value})
    if "\x00" not in value:  # no environment can carry that
        monkeypatch.setenv("A_PROVIDERS_KEY", value)
        with pytest.raises(SettingsInvalid, match=r"^A_PROVIDERS_KEY (contains|is not valid)"):
            configuration.provider_keys(["A_PROVIDERS_KEY"])


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_refused_with_the_new_one(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    assert new.removeprefix("YOUT_").lower() in configuration.Settings.model_fields
    assert old.removeprefix("YOUT_").lower() not in configuration.Settings.model_fields
    monkeypatch.setenv(old, "")
    assert configuration.load().host == "127.0.0.1"
    monkeypatch.setenv(old, "7")
    assert wrong() == (f"{old} is now called {new}",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("YOUT_DATABASE_URL", "mysql://HIDDEN@h/d"),
        ("YOUT_DATABASE_URL", "HIDDEN"),
        ("YOUT_PUBLIC_URL", "HIDDEN.example.com"),
        ("YOUT_PUBLIC_URL", "http://h:HIDDEN/"),
        ("YOUT_PUBLIC_URL", "https://h/?HIDDEN"),
        ("YOUT_STORAGE_URL", "https://HIDDEN/bucket"),
        ("YOUT_STORAGE_URL", "s3:///HIDDEN"),
        ("YOUT_TEMPORAL_ADDRESS", "http://HIDDEN:7233"),
        ("YOUT_TEMPORAL_ADDRESS", "HIDDEN"),
        ("YOUT_PORT", "HIDDEN"),
        ("YOUT_PORT", "70000"),
        ("YOUT_SECRET_KEY", "HIDDEN"),
        ("YOUT_SECRET_KEY", "HIDDEN" * 8),
        ("YOUT_SECRET_KEY", "0" * 64),
        ("YOUT_PRESIGNED_LIFETIME", "-1"),
        ("YOUT_PRESIGNED_LIFETIME", "301"),
        ("YOUT_PRESIGNED_LIFETIME", "HIDDEN"),
        ("YOUT_LOG_FORMAT", "HIDDEN"),
        ("YOUT_WORKER_ROLE", "HIDDEN"),
        ("YOUT_WORKER_MEDIA_SLOTS", "0"),
        ("YOUT_WORKER_MEMORY_TARGET", "80"),
        ("YOUT_WORKER_CPU_TARGET", "HIDDEN"),
        ("YOUT_TEMPORAL_PAYLOAD_KEYS", "HIDDEN"),
        ("YOUT_TEMPORAL_PAYLOAD_KEYS", "HIDDEN,abcd"),
    ],
)
def test_a_wrong_value_is_named_and_not_told(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    (problem,) = wrong()
    assert problem.startswith(f"{name}: ")
    assert "HIDDEN" not in problem
    assert "\n" not in problem


def test_a_worker_of_workflows_alone_needs_the_keys_of_payloads_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = Secrets(SECRET, ["an older one"]).derive(Purpose.TEMPORAL_PAYLOADS)
    for name in RIGHT:
        monkeypatch.delenv(name)
    (tmp_path / environment.DEV_FILE).write_text(json.dumps({"database_url": "postgresql://dev/dev"}))
    monkeypatch.setenv("YOUT_WORKER_ROLE", "workflows")
    with pytest.raises(SettingsInvalid, match=r"^YOUT_TEMPORAL_PAYLOAD_KEYS: is empty: write what `yout secrets"):
        configuration.load_worker()
    monkeypatch.setenv("YOUT_TEMPORAL_PAYLOAD_KEYS", ",".join(key.hex() for key in keys.every) + "\n")
    loaded = configuration.load_worker()
    assert loaded.payload_keys == keys
    assert not {"database_url", "secret_key"} & set(type(loaded).model_fields)
    monkeypatch.setenv("YOUT_WORKER_ROLE", "activities")
    with pytest.raises(SettingsInvalid, match="YOUT_SECRET_KEY is not set"):
        configuration.load_worker()


def test_what_is_missing_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in RIGHT:
        monkeypatch.delenv(name)
    assert wrong() == tuple(f"{name} {environment.NOT_SET}" for name in RIGHT)
    with pytest.raises(SettingsInvalid, match="YOUT_DATABASE_URL is not set"):
        environment.database_url()
    assert configuration.catalog_path() is None
    running = {"database_url": "postgresql://dev/dev", "catalog": "/of/the/stack.toml", "email_verification": "false"}
    (tmp_path / environment.DEV_FILE).write_text(json.dumps(running))
    (tmp_path / environment.SECRET_FILE).write_text(SECRET + "\n")
    assert configuration.catalog_path() == configuration.load().catalog == Path("/of/the/stack.toml")
    assert configuration.load().secret_key.get_secret_value() == SECRET
    assert not configuration.load().email_verification
    assert environment.database_url() == "postgresql://dev/dev"


def test_a_damaged_state_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("YOUT_DATABASE_URL")
    for damaged in ("{", "[]", "\xff"):
        (tmp_path / environment.DEV_FILE).write_bytes(damaged.encode("latin-1"))
        with pytest.raises(SettingsInvalid):
            environment.database_url()


def test_a_weak_secret_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOUT_SECRET_KEY", "changeme" * 8)
    (problem,) = wrong()
    assert problem.startswith("YOUT_SECRET_KEY: repeats itself: make one with `openssl rand -hex 32`")
    monkeypatch.setenv("YOUT_SECRET_KEY", SECRET)
    monkeypatch.setenv("YOUT_PREVIOUS_SECRET_KEYS", "changeme" * 8)  # so that one can get away from it
    assert configuration.load().previous_secrets == ["changeme" * 8]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://[::1]", "http://localhost:1", "https://a.localhost/x"]
)
def test_failpoints_are_for_loopback_alone(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("YOUT_FAILPOINT", "copy:between")
    monkeypatch.setenv("YOUT_PUBLIC_URL", url)
    assert not configuration.load().sends_in_the_open
    monkeypatch.setenv("YOUT_PUBLIC_URL", "https://yout.example")
    (problem,) = wrong()
    assert "YOUT_FAILPOINT" in problem


@pytest.mark.parametrize(("url", "open_"), [("http://yout.example", True), ("https://yout.example", False)])
def test_what_crosses_a_network_unencrypted_is_known(monkeypatch: pytest.MonkeyPatch, url: str, open_: bool) -> None:
    monkeypatch.setenv("YOUT_PUBLIC_URL", url)
    assert configuration.load().sends_in_the_open is open_


@pytest.mark.parametrize(("name", "value"), [("YOUT_MAX_BODY_BYTES", 47 * 2**20), ("YOUT_MAX_BODIES_MIB", 139)])
def test_the_largest_request_fits_into_an_accounts_part(monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    """A body of 20 MiB may have a film of 50 MiB behind a URL."""
    monkeypatch.setenv(name, str(value))
    assert any("max_bodies_mib" in problem for problem in wrong())
