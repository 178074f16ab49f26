"""Studio over a real port, as a browser without a script uses it. Nothing runs there: jobs stay queued."""

import re
import uuid

import httpx2
import pytest

from tests.support.media_samples import picture

HOSTILE = "</textarea><script>alert(1)</script>"


async def start(member: httpx2.AsyncClient, kind: str = "image", **fields: str) -> httpx2.Response:
    form = {"model": f"demo-{kind}", "once": str(uuid.uuid4()), "prompt": "a lake", "n": "1", **fields}
    if kind == "speech":
        form = {"model": "demo-speech", "once": str(uuid.uuid4()), "input": "Hello", "voice": "ash", **fields}
    return await member.post(f"/studio/{kind}", data=form)


async def jobs(member: httpx2.AsyncClient) -> list[dict[str, object]]:
    answer = await member.get("/api/media/jobs/")
    rows: list[dict[str, object]] = answer.json()["data"]
    return rows


def job_of(started: httpx2.Response) -> str:
    assert started.status_code == 303, started.text
    return started.headers["location"].partition("#job-")[2]


@pytest.mark.parametrize("kind", ["image", "video", "speech"])
async def test_an_empty_studio_begins_with_three_examples(member: httpx2.AsyncClient, kind: str) -> None:
    assert (await member.get("/studio")).headers["location"] == "/studio/image"
    empty = await member.get(f"/studio/{kind}")
    assert empty.text.count("&amp;example=") == 3
    assert "Make " + kind in empty.text
    filled = await member.get(f"/studio/{kind}?example=2&cursor=nothing")
    text = re.search(r"<textarea[^>]*main-text[^>]*>([^<]{20,})</textarea>", filled.text)
    assert text is not None
    assert await jobs(member) == []


@pytest.mark.parametrize("kind", ["image", "video", "speech"])
async def test_a_form_starts_a_job_once(member: httpx2.AsyncClient, kind: str) -> None:
    once = str(uuid.uuid4())
    first, second = await start(member, kind, once=once), await start(member, kind, once=once)
    assert job_of(first) == job_of(second)
    assert first.headers["location"].startswith(f"/studio/{kind}?model=demo-{kind}#job-")
    assert [one["kind"] for one in await jobs(member)] == [kind]
    for path in (f"/studio/{kind}", f"/studio/jobs/{job_of(first)}"):
        page = await member.get(path)
        assert f'id="job-{job_of(first)}"' in page.text
        assert "Waiting for its turn" in page.text
        assert "a lake" not in page.text


async def test_the_price_is_on_the_form(member: httpx2.AsyncClient) -> None:
    page = await member.get("/studio/image?model=demo-image")
    assert re.search(r"1,000 credits .*You have 50,000, and 49,000 after it", page.text)


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [({"n": "99"}, "n"), ({"n": "many"}, "n"), ({"size": "huge"}, "size"), ({"webhook_url": "ftp://x"}, "webhook_url")],
)
async def test_a_fault_stands_at_its_field_and_nothing_is_lost(
    member: httpx2.AsyncClient, fields: dict[str, str], at_fault: str
) -> None:
    answer = await start(member, prompt=HOSTILE, seed="7", **fields)
    assert answer.status_code == 400
    assert f'id="{at_fault}-fault"' in answer.text
    assert "&lt;/textarea&gt;&lt;script&gt;" in answer.text
    assert HOSTILE not in answer.text
    assert 'name="seed" type="number" value="7"' in answer.text
    assert f'value="{fields[at_fault]}"' in answer.text
    assert await jobs(member) == []


async def test_a_file_goes_along_and_stays_when_something_else_is_wrong(member: httpx2.AsyncClient) -> None:
    fields = {"model": "demo-image", "once": str(uuid.uuid4()), "prompt": "a lake", "n": "99"}
    wrong = await member.post("/studio/image", data=fields, files={"image": ("<b>.png", picture())})
    assert (wrong.status_code, 'id="n-fault"' in wrong.text) == (400, True)
    assert "&lt;b&gt;.png" in wrong.text
    upload = re.search(r'name="image" value="(upload_[^"]+)"', wrong.text)
    assert upload is not None
    right = fields | {"n": "1", "image": upload[1], "image-name": "<b>.png"}
    job_of(await member.post("/studio/image", data=right))
    bad = await member.post("/studio/image", data=fields, files={"image": ("a.png", b"not a picture")})
    assert (bad.status_code, 'id="image-fault"' in bad.text) == (400, True)


async def test_what_cannot_be_paid_is_said_with_what_is_held(member: httpx2.AsyncClient) -> None:
    for _ in range(5):
        job_of(await start(member, n="10"))
    answer = await start(member, n="10")
    assert answer.status_code == 402
    assert "Other calls and jobs hold 50,000 of your credits." in answer.text
    assert ">a lake</textarea>" in answer.text


async def test_a_model_that_is_none_is_named(member: httpx2.AsyncClient) -> None:
    page = await member.get("/studio/image?model=%3Cb%3E")
    assert 'This server has no image model “<span dir="auto">&lt;b&gt;</span>”' in page.text
    answer = await start(member, model="nothing")
    assert answer.status_code == 404
    assert ">a lake</textarea>" in answer.text


async def test_a_job_that_nobody_has_begun_is_cancelled(member: httpx2.AsyncClient) -> None:
    job = job_of(await start(member))
    cancelled = await member.post(f"/studio/jobs/{job}/cancel", data={"to": "gallery"})
    assert (cancelled.status_code, cancelled.headers["location"]) == (303, f"/studio/image#job-{job}")
    page = await member.get(f"/studio/jobs/{job}")
    assert "It was cancelled before it was made." in page.text
    assert "1,000</b> came back" in page.text
    gallery = await member.get("/studio/image")
    assert "1,000 credits came back" in gallery.text
    again = await member.post(f"/studio/jobs/{job}/outputs/delete")
    assert again.headers["location"] == f"/studio/jobs/{job}"


async def test_nothing_of_another_account_is_shown(member: httpx2.AsyncClient, site: object) -> None:
    job = job_of(await start(member))
    email = {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery", "next": "/keys"}
    await member.post("/sign-out")
    await member.post("/sign-up", data=email)
    assert job not in (await member.get("/studio/image")).text
    assert (await member.get(f"/studio/jobs/{job}")).status_code == 404
    assert (await member.post(f"/studio/jobs/{job}/cancel", data={})).status_code == 404
    assert (await member.post(f"/studio/jobs/{job}/outputs/delete")).status_code == 404
    assert (await member.get("/studio/jobs/nothing")).status_code == 404
