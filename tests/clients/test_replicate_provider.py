"""Replicate behind the server: a double that its own SDK takes for Replicate, and what becomes of its jobs here."""

from collections.abc import Iterator

import pytest
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError

from tests.support.doubles.replicate_server import KEY, VERSION, ReplicateServer

ASK = {"prompt": "a lake", "num_outputs": 2}


@pytest.fixture(scope="module")
def replicate() -> Iterator[ReplicateServer]:
    with ReplicateServer() as server:
        yield server


@pytest.fixture
def direct(replicate: ReplicateServer) -> Iterator[Client]:
    client = Client(KEY, base_url=replicate.url)
    client.poll_interval = 0.01
    yield client
    client._client.close()


def test_the_sdk_takes_the_double_for_replicate(replicate: ReplicateServer, direct: Client) -> None:
    job = direct.models.predictions.create("black-forest-labs/flux-schnell", ASK)
    assert (job.status, job.output, job.started_at, job.progress) == ("starting", None, None, None)
    job.reload()
    job.reload()
    assert (job.status, job.progress and job.progress.percentage) == ("processing", 0.42)
    job.wait()
    assert (job.status, job.output) == ("succeeded", [f"{replicate.url}/pbxt/plain.png"] * 2)
    assert direct.predictions.list().results[0].id == job.id


@pytest.mark.parametrize("version", [VERSION, f"stability-ai/sdxl:{VERSION}"])
def test_the_sdk_runs_a_version(direct: Client, version: str) -> None:
    job = direct.predictions.create(version=version, input=ASK)
    job.wait()
    assert (job.version, job.status) == (VERSION, "succeeded")


def test_the_sdk_runs_a_model(direct: Client) -> None:
    """It sends `Prefer: wait`, and takes the unfinished answer for one to poll."""
    assert str(direct.run("minimax/video-01--string", ASK, use_file_output=False)).endswith("/pbxt/string.mp4")


def test_the_sdk_cancels(direct: Client) -> None:
    job = direct.models.predictions.create("a/b--never", ASK)
    job.cancel()
    assert job.status == "canceled"


def test_the_sdk_takes_failed_predictions_for_replicates(direct: Client) -> None:
    with pytest.raises(ModelError, match="NSFW content detected"):
        direct.run("a/b--policy", ASK)


def test_the_sdk_does_not_know_every_status(direct: Client) -> None:
    """`aborted` is in the vendor's documents alone: what reads it must take a status that it does not know."""
    job = direct.models.predictions.create("a/b--aborted", ASK)
    job.reload()
    with pytest.raises(ValueError, match="status"):
        job.reload()


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [("busy", 429), ("broken", 500), ("unpaid", 402), ("gone", 404), ("rejected", 422)],
)
def test_the_sdk_takes_its_errors_for_replicates(direct: Client, behaviour: str, status: int) -> None:
    with pytest.raises(ReplicateError) as error:
        direct.models.predictions.create(f"a/b--{behaviour}", ASK)
    assert (error.value.status, error.value.title is None) == (status, False)


def test_a_wrong_key_is_refused(replicate: ReplicateServer) -> None:
    client = Client("another", base_url=replicate.url)
    with pytest.raises(ReplicateError) as error:
        client.models.predictions.create("a/b", ASK)
    client._client.close()
    assert error.value.title == "Unauthenticated"
