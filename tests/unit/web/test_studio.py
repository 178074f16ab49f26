"""Studio as it is rendered: the form of every model of the shipped catalog, and every state of a job."""

import re
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import SecretStr
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from api import chat_models
from catalog import files
from domain.catalog import Model as CatalogModel
from domain.media import GIVEN_BACK
from providers.registry import KINDS as PROVIDERS
from web import media_form, studio
from web.api import Answer, Server
from web.shown_jobs import ShownJob
from web.visit import Account, Visit

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
JOB = "0d9a3a3e-3f0e-4d0b-9a3e-2d3f0e4d0b9a"
HOSTILE = "<script>alert(1)</script>" + "\"'><img src=x onerror=alert(1)>" * 10


def all_keys(names: Iterable[str]) -> Mapping[str, SecretStr]:
    return {name: SecretStr("a key") for name in names}


@cache
def shipped() -> Mapping[str, CatalogModel]:
    catalog = files.load(None, all_keys, PROVIDERS)
    return {model.id: model for model in catalog.active_models() if model.modality.value in studio.KINDS}


def listed(model: CatalogModel) -> dict[str, Any]:
    """The model, as the API lists it."""
    return chat_models._entry(model, None).model_dump(mode="json")


def job(**changes: Any) -> dict[str, Any]:
    """A job, as the API answers it."""
    queued: dict[str, Any] = {
        **{"job_uuid": JOB, "kind": "image", "model": "demo-image", "status": "queued", "phase": None},
        **{"progress": None, "output_url": None, "outputs": [], "error": None, "credits_cost": 5300},
        **{"credits_refunded": 0, "cancel_requested_at": None, "created_at": "2026-11-30T11:58:12Z"},
        **{"started_at": None, "finished_at": None, "expires_at": None},
    }
    return queued | changes


def output(content_type: str, **changes: Any) -> dict[str, Any]:
    known = {"url": "https://yout.example/media/a/0.x?exp=1&sig=2", "poster_url": None, "content_type": content_type}
    sizes = {"bytes": 10, "width": None, "height": None, "duration": None, "expires_at": "2026-11-30T13:00:00Z"}
    return known | sizes | changes


DONE: dict[str, Any] = {
    **{"status": "succeeded", "progress": 100, "started_at": "2026-11-30T11:58:14Z"},
    **{"finished_at": "2026-11-30T11:59:14Z", "expires_at": "2026-12-01T11:59:14Z"},
}
REFUSED = {"code": "content_refused", "message": "The provider refused it."}
STATES: Mapping[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "queued": (job(), ("Waiting for its turn", "5,300", "held", "Cancel")),
    "sending": (job(status="running"), ("Being sent",)),
    "waiting": (job(status="running", phase="waiting"), ("In line at the provider",)),
    "rendering": (job(status="running", phase="running"), ("Rendering",)),
    "percent": (job(status="running", phase="running", progress=62), ("62%", 'aria-valuenow="62"')),
    "checking": (job(status="running", phase="copying", progress=100), ("Checking",)),
    "cancelling": (job(status="running", cancel_requested_at="2026-11-30T11:59:00Z"), ("Cancelling",)),
    "image": (job(**DONE, outputs=[output("image/png", width=1024, height=768)]), ("/media/a/0.x", "5,300", "23 h")),
    "images": (job(**DONE, outputs=[output("image/png")] * 3), ("3 pictures",)),
    "video": (
        job(**DONE, kind="video", outputs=[output("video/mp4", duration=5.0, poster_url="/media/p")]),
        ("/media/p", "0:05"),
    ),
    "speech": (job(**DONE, kind="speech", outputs=[output("audio/mpeg", duration=14.2)]), ("<yout-wave", "0:14")),
    "short speech": (job(**DONE, kind="speech", outputs=[output("audio/mpeg", duration=0.4)]), ("<yout-wave", "0:01")),
    "partly": (job(**DONE, credits_refunded=300, outputs=[output("image/png")]), ("5,000",)),
    "failed": (
        job(status="failed", credits_refunded=5300, error=REFUSED),
        ("failed", "5,300", "came back", "Try again"),
    ),
    "cancelled": (job(status="cancelled", credits_refunded=5300), ("Cancelled", "5,300", "came back")),
    "expired": (job(**DONE | {"expires_at": "2026-11-30T11:59:59Z"}), ("Gone",)),
    "deleted": (job(**DONE), ("Deleted",)),
}


def account(**held: int) -> Account:
    return Account("0199c0de", "a@example.com", 49_000, plan=None, plan_active=False, **held)


@dataclass
class CannedApi:
    """Answers as the API does, without one."""

    models: list[dict[str, Any]]
    jobs: list[dict[str, Any]] = field(default_factory=list)
    quote: Answer = field(
        default_factory=lambda: Answer(200, {"credits": {"held": 5300}, "balance": 49_000, "affordable": True}, [])
    )
    server: Server = field(default_factory=lambda: Server("https://yout.example", None, 50_000))
    has_session = True
    turns: int = 0
    request: Request | None = None

    def require_same_origin(self) -> None: ...

    @asynccontextmanager
    async def large_form(self) -> AsyncIterator[FormData]:
        self.turns += 1
        assert self.request is not None
        yield await self.request.form()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        if path == "/api/chat/models/":
            return Answer(200, {"data": self.models}, [])
        if path == "/api/billing/quote/":
            return self.quote
        if path == "/api/auth/me/":
            return Answer(200, asdict(account(held=0, running_jobs=0)) | {"account_id": "0199c0de"}, [])
        if path == "/api/media/jobs/":
            wanted = query or {}
            fits = [one for one in self.jobs if one["status"] == wanted.get("status", one["status"])]
            return Answer(200, {"data": fits, "has_more": False, "next": None}, [])
        return Answer(200, self.jobs[0], [])


def visit(api: CannedApi, path: str, query: str = "", **params: str) -> Visit:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [],
    }
    scope |= {"scheme": "https", "server": ("yout.example", 443), "path_params": params}
    return Visit(Request(scope), api, NOW, ("/studio",), account(held=5300, running_jobs=1))


async def rendered(api: CannedApi, kind: str, query: str = "") -> str:
    answer = await studio.kind(kind, visit(api, f"/studio/{kind}", query))
    assert answer.status_code == 200
    return bytes(answer.body).decode()


def sending(api: CannedApi, size: int, *, chunked: bool = False) -> Visit:
    """A visit that sends a form with a file of so many bytes."""
    begin = b'--ab\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    body = begin + bytes(size) + b"\r\n--ab--\r\n"
    headers = [(b"content-type", b"multipart/form-data; boundary=ab")]
    headers += [] if chunked else [(b"content-length", b"%d" % len(body))]
    pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    api.request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    return replace(visit(api, "/"), request=api.request)


@pytest.mark.parametrize(("size", "chunked", "turns"), [(1000, False, 0), (1000, True, 1), (3_000_000, False, 1)])
async def test_a_file_touches_no_disk_and_a_large_form_waits_for_its_turn(
    size: int, chunked: bool, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    api = CannedApi([])
    async with sending(api, size, chunked=chunked).form_with_files() as form:
        sent = form["image"]
        assert isinstance(sent, UploadFile)
        assert await sent.read() == bytes(size)
        await sent.close()
    assert api.turns == turns


async def test_a_number_that_is_none_stays_as_it_was_written() -> None:
    entry = listed(shipped()["demo-image"])
    for text in ("1e999", "-inf", "nan", "9" * 5000, "1-", "\u00b2"):
        assert media_form.order(entry, {"seed": text}, {})["seed"] == text
    assert media_form.order(entry, {"seed": "9" * 400}, {})["seed"] == int("9" * 400)
    assert await rendered(CannedApi([entry]), "image", f"example={'9' * 5000}")


class Sent(HTMLParser):
    """What a browser would send of the form, and what must hold for every page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: list[tuple[str, str | UploadFile]] = []
        self.ids: list[str] = []
        self.labelled: list[str] = []
        self._form = False
        self._select: str | None = None
        self._text: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attributes}
        assert "style" not in known
        assert not [name for name in known if name.startswith("on")], known
        self.ids += [known["id"]] if "id" in known else []
        self.labelled += [known[name] for name in ("for", "aria-describedby") if name in known and tag != "yout-copy"]
        self._form = known.get("id") == "order" if tag == "form" else self._form
        if not self._form or ("name" not in known and tag != "option"):
            return
        if tag == "select":
            self._select = known["name"]
        elif tag == "textarea":
            self._text = known["name"]
        elif tag == "option":
            if self._select and "selected" in known:
                self.fields.append((self._select, known["value"]))
        elif known.get("type") not in ("radio", "checkbox") or "checked" in known:
            self.fields.append((known["name"], known.get("value", "")))

    def handle_data(self, data: str) -> None:
        if self._text is not None and data.strip():
            self.fields.append((self._text, data.strip()))

    def handle_endtag(self, tag: str) -> None:
        self._form = self._form and tag != "form"
        self._text = None if tag == "textarea" else self._text
        self._select = None if tag == "select" else self._select


@pytest.mark.parametrize("name", sorted(shipped()))
async def test_the_form_of_every_model_is_taken_by_the_model(name: str) -> None:
    entry = listed(shipped()[name])
    page = Sent(await rendered(CannedApi([entry]), entry["modality"], f"model={name}&example=1"))
    assert len(page.ids) == len(set(page.ids))
    assert set(page.labelled) <= set(page.ids)
    form = FormData(page.fields)
    body = media_form.order(entry, media_form.written(form), {})
    assert body.pop("model") == name
    Draft202012Validator(entry["parameters"]).validate(body)
    text = body[media_form.TEXTS[entry["modality"]]]
    assert text == studio.EXAMPLES[entry["modality"]][0]


async def job_shown(where: str, one: dict[str, Any], *layout: str) -> str:
    """In the gallery, or on its page."""
    api = CannedApi([listed(shipped()["demo-image"])], [one])
    if where == "gallery":
        return await rendered(api, one["kind"])
    answer = await studio.job(visit(api, f"/studio/jobs/{JOB}", *layout, job_id=JOB))
    return bytes(answer.body).decode()


@pytest.mark.parametrize("state", sorted(STATES))
@pytest.mark.parametrize("where", ["gallery", "page"])
async def test_every_state_of_a_job_is_shown(state: str, where: str) -> None:
    one, words = STATES[state]
    text = await job_shown(where, one)
    if where == "page":
        words = tuple(word for word in words if word not in ("3 pictures", "23 h"))
    page = Sent(text)
    assert len(page.ids) == len(set(page.ids))
    for word in words:
        assert word.lower() in text.lower(), word
    assert ("controls" in text) is (where == "page" and state in ("video", "speech", "short speech"))
    assert ("/cancel" in text) is (state in ("queued", "sending", "waiting", "rendering", "percent", "checking"))
    assert ("62%" in text) is (state == "percent")
    assert "https://yout.example/media/" not in text


class BeginningApi(CannedApi):
    """Its job begins as soon as it was listed as one that waits."""

    async def call(self, method: str, path: str, **more: Any) -> Answer:
        answer = await super().call(method, path, **more)
        if (more.get("query") or {}).get("status") == "queued":
            self.jobs = [one | {"status": "running"} for one in self.jobs]
        return answer


@pytest.mark.parametrize("state", ["sending", "video"])
async def test_a_job_that_has_ended_holds_nothing_on_its_page(state: str) -> None:
    """It may end after the account was read, and before the job is."""
    one, _ = STATES[state]
    answer = await studio.job(visit(CannedApi([], [one]), f"/studio/jobs/{JOB}", job_id=JOB))
    assert ('<small class="num held">5,300 held' in bytes(answer.body).decode()) is (one["status"] == "running")


async def test_what_came_back_from_a_failed_job_is_said_once() -> None:
    error = {"code": "upstream_error", "message": f"The provider failed.{GIVEN_BACK}"}
    text = await job_shown("page", job(status="failed", credits_refunded=5300, error=error))
    assert "The provider failed.</span>" in text
    assert GIVEN_BACK not in text


async def test_a_job_that_begins_meanwhile_is_shown_once() -> None:
    text = await rendered(BeginningApi([listed(shipped()["demo-image"])], [job()]), "image")
    assert text.count(f'id="job-{JOB}"') == 1
    assert "Being sent" in text


@pytest.mark.parametrize("kind", sorted(studio.KINDS))
async def test_what_is_strange_is_escaped(kind: str) -> None:
    entry = listed(shipped()[{"image": "demo-image", "video": "demo-video", "speech": "demo-speech"}[kind]])
    entry["name"] = HOSTILE
    failed = job(kind=kind, status="failed", model=entry["id"], error={"code": "x", "message": HOSTILE})
    text = await rendered(CannedApi([entry], [failed]), kind, f"model={HOSTILE}")
    Sent(text)
    assert "<script>alert" not in text
    assert "<img src=x" not in text


async def test_who_has_no_model_reads_why() -> None:
    entry = listed(shipped()["demo-video"]) | {"enabled": False, "disabled_reason": "pro_required"}
    text = await rendered(CannedApi([entry]), "video")
    assert "needs a plan" in text
    assert 'id="order"' not in text
    assert "No video model here" in await rendered(CannedApi([]), "video")
    usable = listed(shipped()["demo-video-slow"])
    text = await rendered(CannedApi([entry, usable]), "video", "model=demo-video")
    assert "needs a plan" in text
    assert f"Here is {usable['name']} instead" in text


async def test_a_price_that_is_too_high_is_said_before_the_run() -> None:
    entry = listed(shipped()["demo-video"])
    quote = Answer(200, {"credits": {"held": 1_200_000}, "balance": 310, "affordable": False}, [])
    text = await rendered(CannedApi([entry], quote=quote), "video", "example=1")
    assert "1,200,000 credits" in text
    assert "You have 310: that is not enough." in text


async def test_a_form_without_a_price_says_so() -> None:
    fault = Answer(400, {"error": {"message": "'n' must be 1.", "param": "n"}}, [])
    text = await rendered(CannedApi([listed(shipped()["demo-image"])], quote=fault), "image")
    assert re.search(r"data-price>\s*No price yet", text)


async def test_only_demos_are_offered_where_there_is_nothing_else() -> None:
    demo, real = listed(shipped()["demo-image"]), listed(shipped()["bfl-flux-schnell"])
    text = await rendered(CannedApi([demo, real]), "image")
    assert re.search(r'<option value="bfl-flux-schnell" selected', text)


def test_what_cannot_be_read_is_left_to_the_api() -> None:
    entry = listed(shipped()["demo-image"])
    written = {"prompt": "", "size": "huge", "n": "many", "seed": "-7", "webhook_url": " https://a.example "}
    body = media_form.order(entry, written, {"image": [media_form.SentFile("upload_1", "a.png")]})
    known = {"prompt": "", "size": "huge", "n": "many", "seed": -7, "webhook_url": "https://a.example"}
    assert body == {"model": "demo-image", "image": ["upload_1"]} | known


def test_a_box_that_is_not_ticked_is_no() -> None:
    entry = listed(shipped()["google-veo-31"])
    assert media_form.order(entry, {"prompt": "x"}, {})["generate_audio"] is False
    assert media_form.order(entry, {"prompt": "x", "generate_audio": "true"}, {})["generate_audio"] is True


def test_lines_of_a_text_end_as_they_were_written() -> None:
    assert media_form.written(FormData([("prompt", "a\r\nb")])) == {"prompt": "a\nb"}


@pytest.mark.parametrize("state", sorted(STATES))
@pytest.mark.parametrize("where", ["gallery", "page"])
async def test_a_job_is_one_stop_of_the_keyboard_for_each_place_that_it_leads_to(state: str, where: str) -> None:
    one, _ = STATES[state]
    text = await job_shown(where, one, "narrow")
    links = re.findall(rf'<a [^>]*href="/studio/jobs/{JOB}"[^>]*>', text)
    assert len([link for link in links if "tabindex" not in link]) == 1, links
    assert [link for link in links if ('tabindex="-1"' in link) is not ('aria-hidden="true"' in link)] == []


@pytest.mark.parametrize(
    ("hours", "words"),
    [(0.2, "under 1 h left"), (23.9, "23 h left"), (47.9, "47 h left"), (72, "3 days left"), (167.9, "7 days left")],
)
def test_hours_of_a_file_are_rounded_down_and_days_to_the_nearest(hours: float, words: str) -> None:
    end = (NOW + timedelta(hours=hours)).isoformat()
    shown = ShownJob(job(**DONE | {"expires_at": end}, outputs=[output("image/png")]), NOW, "Demo")
    assert shown.left == words
