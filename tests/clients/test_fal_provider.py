"""fal behind the server: a double that fal's own SDK takes for fal, and what becomes of its jobs here."""

from collections.abc import Iterator
from typing import Any

import fal_client
import fal_client.client
import httpx
import pytest

from tests.support.doubles.fal_server import KEY, FalServer

ASK = {"prompt": "a lake", "num_images": 2}


@pytest.fixture(scope="module")
def fal() -> Iterator[FalServer]:
    with FalServer() as server:
        yield server


@pytest.fixture
def direct(fal: FalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[fal_client.SyncClient]:
    """The vendor's SDK. It has no setting for the address, and repeats every failed request up to ten times."""
    monkeypatch.setattr(fal_client.client, "QUEUE_URL_FORMAT", f"{fal.url}/")
    monkeypatch.setattr(fal_client.client, "BASE_DELAY", 0.01)
    monkeypatch.setattr(fal_client.client, "MAX_ATTEMPTS", 3)
    client = fal_client.SyncClient(key=KEY)
    yield client
    client._client.close()


def states(handle: Any) -> list[str]:
    return [type(event).__name__ for event in handle.iter_events(with_logs=True, interval=0.01)]


@pytest.mark.parametrize("model", ["fal-ai/flux/dev", "fal-ai/flux", "workflows-of/me/deep/er/path"])
def test_the_sdk_takes_the_double_for_fal(fal: FalServer, direct: fal_client.SyncClient, model: str) -> None:
    """Submit, poll and result; the addresses of a request lack the sub-path of its model."""
    handle = direct.submit(model, ASK, priority="low", start_timeout=30)
    assert handle.status_url == f"{fal.url}/{'/'.join(model.split('/')[:2])}/requests/{handle.request_id}/status"
    assert states(handle) == ["Queued", "InProgress", "Completed"]
    result = handle.get(interval=0.01)
    assert [image["content_type"] for image in result["images"]] == ["image/png"] * 2
    assert direct.get_handle(model, handle.request_id).status() == handle.status()


def test_the_sdk_subscribes(direct: fal_client.SyncClient) -> None:
    result = direct.subscribe("fal-ai/veo3/fast--video", {"prompt": "a lake"}, interval=0.01)
    assert result["video"]["content_type"] == "video/mp4"


def test_the_sdk_cancels(direct: fal_client.SyncClient) -> None:
    handle = direct.submit("fal-ai/flux/dev--never", ASK)
    handle.cancel()
    status = handle.status()
    assert isinstance(status, fal_client.Completed)
    assert status.error_type == "client_cancelled"
    with pytest.raises(fal_client.FalClientHTTPError) as error:
        handle.cancel()
    assert (error.value.status_code, error.value.response.json()) == (400, {"status": "ALREADY_COMPLETED"})


@pytest.mark.parametrize(
    ("behaviour", "status", "error_type"),
    [
        ("policy", 422, None),
        ("failed", 503, "runner_disconnected"),
        ("late", 504, "request_timeout"),
        ("unwell", 500, None),
    ],
)
def test_the_sdk_takes_failed_requests_for_fals(
    direct: fal_client.SyncClient, behaviour: str, status: int, error_type: str | None
) -> None:
    handle = direct.submit(f"fal-ai/flux/dev--{behaviour}", ASK)
    assert states(handle)[-1] == "Completed"
    with pytest.raises(fal_client.FalClientHTTPError) as error:
        handle.get(interval=0.01)
    assert (error.value.status_code, error.value.error_type) == (status, error_type)


@pytest.mark.parametrize(("behaviour", "status"), [("broken", 500), ("locked", 403), ("gone", 404), ("rejected", 422)])
def test_the_sdk_takes_its_errors_for_fals(direct: fal_client.SyncClient, behaviour: str, status: int) -> None:
    with pytest.raises(fal_client.FalClientHTTPError) as error:
        direct.submit(f"fal-ai/flux/dev--{behaviour}", ASK)
    assert error.value.status_code == status


def test_the_sdk_submits_again_after_an_answer_that_was_cut(fal: FalServer, direct: fal_client.SyncClient) -> None:
    """Why this server does not use it: one order, and each attempt is a request that fal makes and bills."""
    with pytest.raises(httpx.TransportError):
        direct.submit("fal-ai/flux/dev--cut", ASK)
    assert fal.submissions("cut") == 3


def test_a_wrong_key_is_refused(direct: fal_client.SyncClient) -> None:
    direct._client.headers["authorization"] = "Key another"
    with pytest.raises(fal_client.FalClientHTTPError) as error:
        direct.submit("fal-ai/flux/dev", ASK)
    assert error.value.status_code == 401
