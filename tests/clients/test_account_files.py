"""What an account stores, and the early deletion of outputs, over a real port."""

import uuid
from datetime import timedelta

from db.data_keys import Sealing
from db.media import MediaJobs
from db.media_orders import Order
from domain.caller import Payer
from domain.media import Job, Kind, MediaRequest, Output, State, object_key
from domain.pricing import FlatTerms
from domain.sealing import Wrapping
from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import AccountClient
from tests.support.media_samples import picture
from tests.support.stack import SECRET

SIZE = 1234


def jobs_of(owner: AccountClient) -> MediaJobs:
    return MediaJobs(owner.database, Sealing(Wrapping.of(SECRET)), output_lifetime=timedelta(hours=1))


async def running(owner: AccountClient) -> Job:
    request, price = MediaRequest(kind=Kind.IMAGE, model="demo-image", prompt="x"), FlatTerms(100, "v1")
    order = Order(uuid.uuid4(), Payer(owner.customer.digest), Kind.IMAGE, "demo-image", "demo", price, request)
    jobs = jobs_of(owner)
    return await jobs.begin((await jobs.accept(order)).job.id)


async def succeeded(owner: AccountClient) -> Job:
    job = await running(owner)
    key = object_key(job.account_id, job.id, 0, "png")
    return await jobs_of(owner).succeed(job.id, [Output(object_key=key, content_type="image/png", bytes=SIZE)])


async def test_an_account_sees_what_it_stores(new_owner: OpenAccountClient) -> None:
    owner, content = await new_owner(), picture()
    empty = (await owner.http.get("/api/media/storage/")).json()
    assert (empty["used"], empty["limit"], empty["uploads_limit"]) == (0, 10 * 2**30, 500 * 2**20)
    await owner.http.post("/api/media/uploads/", content=content)
    await succeeded(owner)
    stored = (await owner.http.get("/api/media/storage/")).json()
    assert (stored["outputs"], stored["uploads"], stored["used"]) == (SIZE, len(content), SIZE + len(content))


async def test_an_owner_deletes_outputs_before_they_expire(new_owner: OpenAccountClient) -> None:
    owner, other = await new_owner(), await new_owner()
    job = await succeeded(owner)
    path = f"/api/media/jobs/{job.id}/"
    assert (await other.http.delete(f"{path}outputs/")).status_code == 404
    (output,) = (await owner.http.get(path)).json()["outputs"]
    assert output["poster_url"] is None
    assert [(await owner.http.delete(f"{path}outputs/")).status_code for _ in range(2)] == [204, 204]
    view = (await owner.http.get(path)).json()
    assert (view["outputs"], view["status"], view["credits_cost"]) == ([], "succeeded", 100)
    assert (await owner.http.get("/api/media/storage/")).json()["used"] == 0
    assert (await owner.http.get(output["url"])).status_code == 404


async def test_a_job_that_runs_has_no_outputs_to_delete(new_owner: OpenAccountClient) -> None:
    owner = await new_owner()
    job = await running(owner)
    refused = await owner.http.delete(f"/api/media/jobs/{job.id}/outputs/")
    await jobs_of(owner).end(job.id, State.CANCELLED, None)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_value")
