"""Words through the endpoints beside the calls of models: saved chats, pages, keys, people, visitors, payments.

Each sends its words, and reads again what may be read. What was shown to one client alone is noted.
"""

import base64
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2

from tests.support import media_samples, stripe_events
from tests.support.canaries import ADDRESS, ASKED, CHAT, CLIENT, HEADERS, LABEL, MOVED, NAMED, PASSWORDS
from tests.support.canary_fields import DOCUMENT, Carried, text_fields, wrong_bodies
from tests.support.doubles.mail_server import MailServer
from tests.support.media_stack import Customer, World

STREAM, CONVERSATIONS, KEYS, SHARES = (
    "/api/chat/stream/",
    "/api/chat/conversations/",
    "/api/chat/keys/",
    "/api/chat/share/",
)
WEBHOOKS = "/api/webhooks/"
UPLOADS = "/api/media/uploads/"
WEBHOOK = "/api/billing/stripe/webhook/"
BROKEN = (
    "conversations",
    "messages",
    "shares",
    "job_inputs",
    "uploads",
    "api_keys",
    "users",
    "one_time_links",
    "payments",
    "sessions",
    "webhook_endpoints",
)
FAULT = """
CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no room for %%', NEW USING DETAIL = NEW::text; END $$"""


@dataclass(slots=True)
class Secrets:
    """What one client alone received."""

    slugs: list[str] = field(default_factory=list)
    """Of shared pages: whoever knows one can read the page."""
    links: list[str] = field(default_factory=list)
    """Of links that were mailed."""
    cookies: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)


class Made(NamedTuple):
    slug: str
    jobs: list[str]


def messages(word: str) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": f"keep {word}", "name": word},
        {"role": "assistant", "content": f"saved {word}"},
    ]


def written(word: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests that write what a caller sent."""
    yield CONVERSATIONS, {"title": f"of {word}", "messages": messages(word)}
    yield SHARES, {"title": word, "model": word, "messages": messages(word)}
    yield KEYS, {"name": f"name {LABEL}", "note": f"note {LABEL} {hash(word)}"}
    url = {"webhook_url": f"https://receiver.example/job/{word}"}
    yield "/api/media/image/", {"model": "demo-image", "prompt": f"a hill {word}", "size": "64x64", **url}
    yield WEBHOOKS, {"url": f"https://receiver.example/{word}", "description": f"to {word}"}
    video = {"model": "demo-video", "prompt": f"a river {word}", "size": "64x64", "duration": 0.5}
    yield "/api/media/video/", {**video, **url}
    yield "/api/media/speech/", {"model": "demo-speech", "input": f"Say {word}.", "response_format": "wav", **url}
    transcription = {"model": "demo-transcription", "prompt": f"names {word}", "response_format": "verbose_json"}
    yield "/api/media/transcription/", {**transcription, "audio": _recording(word), **url}


def saving(model: str, word: str) -> Iterator[dict[str, Any]]:
    """Chats that are to be saved, in both forms of a message."""
    more = {"model": model, "save": True, "metadata": {"who": word}, "tools": CHAT["tools"]}
    yield {**more, "message": f"look up {word}"}
    yield {**more, "messages": [{"role": "system", "content": f"system {word}"}, *messages(word)[:1]]}


def waited(word: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Jobs as OpenAI's clients start them."""
    about = {"user": word, "webhook_url": f"https://receiver.example/job/{word}"}
    yield "/v1/images/generations", {"model": "demo-image", "prompt": f"a shore {word}", "size": "64x64", **about}
    speech = {"model": "demo-speech", "input": f"Tell {word}.", "response_format": "wav"}
    yield "/v1/audio/speech", {**speech, **about}
    video = {"model": "demo-video", "prompt": f"a brook {word}", "size": "64x64", "seconds": "0.5"}
    yield "/v1/videos", {**video, **about}
    picture = _data_uri(media_samples.picture() + word.encode())
    edit = {"model": "demo-image", "prompt": f"a coast {word}", "size": "64x64", "image": picture, "mask": picture}
    yield "/v1/images/edits", {**edit, **about}
    transcription = {"model": "demo-transcription", "prompt": f"words {word}", "response_format": "verbose_json"}
    yield "/v1/audio/transcriptions", {**transcription, "file": _recording(word), **about}


async def uploaded(customer: Customer, word: str) -> list[str]:
    """Files by an upload, by a form and by a URL, with the word in their names, in their bytes and in the address."""
    picture = ("file", (f"{word}.png", media_samples.picture() + word.encode(), f"image/{word}"))
    created = await customer.http.post(UPLOADS, files=[picture], headers={"referer": f"https://{word}.example/"})
    assert (created.status_code, word in created.text) == (201, False), created.text
    body = {"model": "demo-image", "prompt": f"a fjord {word}", "size": "64x64"}
    job = await customer.http.post("/api/media/image/", json={**body, "image": created.json()["id"]})
    assert job.status_code == 202, job.text
    form = {"model": "demo-transcription", "prompt": word, "language": "en", word: word}
    recording = ("file", (f"{word}.wav", _sound(word), f"audio/{word}"))
    written = await customer.http.post("/v1/audio/transcriptions", data=form, files=[recording])
    assert (written.status_code, word in written.text) == (200, False), written.text
    for url in (f"https://{word}.invalid/{word}.png", f"http://127.0.0.1/{word}", f"data:{word};base64,{word}!"):
        refused_ = await customer.http.post("/api/media/image/", json={**body, "image": url})
        assert (refused_.status_code, word in refused_.text) == (400, False), refused_.text
    return [job.json()["job_uuid"], written.headers["x-yout-job-id"]]


def _sound(word: str) -> bytes:
    return media_samples.sound("wav", "pcm_s16le", 0.2) + word.encode()


def _recording(word: str) -> str:
    return _data_uri(_sound(word))


def _data_uri(content: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(content).decode()


async def saved(customer: Customer, secrets: Secrets, word: str) -> Made:
    """What a caller wants to be saved can be read again, by whom it is for."""
    created: dict[str, dict[str, Any]] = {}
    for path, body in [*written(word)] * 2:
        answer = await customer.http.post(path, json=body, headers={"idempotency-key": f"{word}{path}"})
        assert answer.status_code in (201, 202), answer.text
        created[path] = {**created.get(path, {}), **answer.json()}
    waits = [await customer.http.post(path, json=body) for path, body in waited(word)]
    assert {answer.status_code for answer in waits} == {200}, [answer.text for answer in waits]
    files = await uploaded(customer, word)
    slug = created[SHARES]["slug"]
    secrets.slugs.append(slug)
    secrets.tokens.append(created[KEYS]["key"])
    conversation = f"{CONVERSATIONS}{created[CONVERSATIONS]['id']}/"
    key = f"{KEYS}{created[KEYS]['id']}/"
    await _ok(customer, "PATCH", conversation, {"title": f"about {word}"})
    await _ok(customer, "PATCH", key, {"name": f"again {LABEL}", "note": f"again {LABEL}"})
    endpoint = f"{WEBHOOKS}{created[WEBHOOKS]['id']}/"
    change = {"url": f"https://receiver.example/again/{word}", "description": f"again {word}"}
    await _ok(customer, "PATCH", endpoint, change)
    secrets.tokens.append(created[WEBHOOKS]["secret"])
    await _ok(customer, "POST", "/api/billing/quote/", {**CHAT, "model": "demo-chat"})
    for body in saving("test-echoes", word):
        answer = await customer.http.post(STREAM, json=body, headers={"idempotency-key": f"{word}{'-'.join(body)}"})
        begun = events(answer)[-1]["conversation_id"]
        more = {"model": "test-echoes", "message": f"and {word}", "conversation_id": begun}
        assert events(await customer.http.post(STREAM, json=more))[-1]["conversation_id"] == begun
        assert word in (await customer.http.get(f"{CONVERSATIONS}{begun}/")).text
    assert (await customer.http.get(f"/c/{slug}")).text.count(word) >= 3
    for read in (SHARES, WEBHOOKS, endpoint, conversation, f"{CONVERSATIONS}?title={word}", f"{CONVERSATIONS}export/"):
        assert word in (await customer.http.get(read)).text, read
    assert LABEL in (await customer.http.get(key)).text
    jobs = [created[f"/api/media/{kind}/"]["job_uuid"] for kind in ("image", "video", "speech", "transcription")]
    return Made(slug, [*jobs, *files, *(answer.headers["x-yout-job-id"] for answer in waits)])


def events(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [httpx2.Response(200, content=line[6:]).json() for line in answer.text.splitlines() if line[:6] == "data: "]


async def _ok(customer: Customer, method: str, path: str, body: Mapping[str, Any]) -> None:
    answer = await customer.http.request(method, path, json=body)
    assert answer.status_code == 200, answer.text


async def refused(http: httpx2.AsyncClient, prefix: str) -> None:
    """Every text field of the document is wrong once in each way, and is not quoted."""
    for each in text_fields(DOCUMENT):
        method, _, path = each.operation.partition(" ")
        for body in wrong_bodies(each, ASKED, NAMED) if path.startswith(prefix) else ():
            url = re.sub(r"\{(conversation|key|endpoint)_id\}", NOBODY, path)
            answer = await http.request(method, url, json=body)
            assert 400 <= answer.status_code < 500, (each, answer.status_code)
            assert ASKED not in answer.text + str(answer.headers), (each, answer.text)


NOBODY = "00000000-0000-7000-8000-000000000000"


@asynccontextmanager
async def fault(world: World) -> AsyncIterator[None]:
    """No row can be written into these tables, and the database's error quotes the row."""
    await world.rows(FAULT)
    for table in BROKEN:
        trigger = f"CREATE TRIGGER fault BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION fault()"
        await world.rows(trigger)
    try:
        yield
    finally:
        await world.rows("DROP FUNCTION fault() CASCADE")


async def failed(customer: Customer, word: str) -> None:
    """What cannot be written is named, and not quoted."""
    title, name = {"title": f"about {word}"}, {"name": LABEL, "note": LABEL}
    conversation = (await customer.http.get(CONVERSATIONS)).json()["data"][0]["id"]
    key = (await customer.http.get(KEYS)).json()["data"][0]["id"]
    endpoint = (await customer.http.get(WEBHOOKS)).json()["data"][0]["id"]
    change = {"url": f"https://receiver.example/{word}", "description": f"to {word}"}
    changes = [(f"{CONVERSATIONS}{conversation}/", title), (f"{KEYS}{key}/", name), (f"{WEBHOOKS}{endpoint}/", change)]
    written_ = [*written(word), *waited(word)]
    requests = [*(("POST", *each) for each in written_), *(("PATCH", *each) for each in changes)]
    files = [("file", (f"{word}.png", media_samples.picture() + word.encode(), "image/png"))]
    upload = await customer.http.post(UPLOADS, files=files)
    assert (upload.status_code >= 500, word in upload.text) == (True, False), upload.text
    for method, path, body in requests:
        answer = await customer.http.request(method, path, json=body)
        assert answer.status_code >= 500, (path, answer.status_code, answer.text)
        assert not any(each in answer.text for each in (word, LABEL)), path


@dataclass(slots=True)
class Person:
    """A browser of somebody who signs up, in, out, moves, and forgets."""

    http: httpx2.AsyncClient
    mails: MailServer
    secrets: Secrets
    carried: Carried

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, mails: MailServer, secrets: Secrets, carried: Carried) -> AsyncIterator["Person"]:
        headers = {**HEADERS, "sec-fetch-site": "same-origin"}
        async with httpx2.AsyncClient(
            base_url=url, headers=headers, timeout=60, event_hooks={"response": [carried.note]}
        ) as http:
            yield cls(http, mails, secrets, carried)

    async def post(self, what: str, status: int, **body: str) -> httpx2.Response:
        answer = await self.http.post(f"/api/auth/{what}/", json=body)
        assert answer.status_code == status, (what, answer.text)
        assert not any(word in answer.text + str(answer.headers) for word in PASSWORDS)
        if status >= 400:
            assert not any(word in answer.text for word in (ADDRESS, MOVED)), what
        return answer

    def mailed(self, address: str, count: int) -> str:
        """The secret of the link in the mail of that number."""
        secret = self.mails.secret(address, count)
        if secret not in self.secrets.links:
            self.secrets.links.append(secret)
            self.carried.words.append(secret)
        return secret

    async def signed_in(self, email: str, password: str) -> None:
        await self.post("login", 200, email=email, password=password)
        self.secrets.cookies.append(self.http.cookies["yout"])
        assert (await self.http.get("/api/auth/me/")).json()["email"] == email

    async def life(self, world: World) -> None:
        first, second, third = PASSWORDS
        await self.post("signup", 202, email=ADDRESS, password=first)
        self.mailed(ADDRESS, 1)
        await self.post("verify/resend", 202, email=ADDRESS)
        token = self.mailed(ADDRESS, 2)
        async with fault(world):
            await self.post("verify", 500, token=token)
            await self.post("signup", 500, email=f"x{MOVED}", password=first)
        await self.post("verify", 200, token=token)
        await self.post("login", 401, email=ADDRESS, password=second)
        await self.post("login", 400, email=first, password=first)
        await self.signed_in(ADDRESS, first)
        async with fault(world):
            await self.post("password", 500, current_password=first, new_password=second)
            await self.post("email", 500, email=f"x{MOVED}", password=first)
            await self.post("login", 500, email=ADDRESS, password=first)
        await self.post("password", 200, current_password=first, new_password=second)
        self.secrets.cookies.append(self.http.cookies["yout"])
        await refused(self.http, "/api/auth/")
        await self.post("email", 202, email=MOVED, password=second)
        await self.post("verify", 200, token=self.mailed(MOVED, 1))
        await self.post("reset", 202, email=MOVED)
        token = self.mailed(MOVED, 2)
        async with fault(world):
            await self.post("reset/confirm", 500, token=token, password=third)
        await self.post("reset/confirm", 204, token=token, password=third)
        assert (await self.http.get("/api/auth/me/")).status_code == 401
        await self.signed_in(MOVED, third)
        await self.post("logout", 204)


async def visited(url: str, secrets: Secrets) -> None:
    """Without an account: the question and its sender are in no place, also when the day's messages are used up."""
    headers = {**HEADERS, "x-forwarded-for": CLIENT}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
        for status in (200, 200, 402):
            body = {"model": "test-free", "message": f"look up {ASKED}"}
            answer = await http.post(STREAM, json=body)
            assert answer.status_code == status, answer.text
            assert status == 200 or ASKED not in answer.text
            assert CLIENT not in answer.text
        secrets.cookies.append(http.cookies["yout-visitor"])
        wrong = await http.post(STREAM, json={"model": "test-free", "message": ASKED, "save": True})
        assert (wrong.status_code, ASKED in wrong.text) == (400, False)


async def paid(world: World) -> None:
    """What a payment says of a person is not stored, also when the credits cannot be given."""
    customer, intent = await world.customer(), f"pi_{uuid4().hex}"
    session = stripe_events.session(intent, account=customer.account_id)
    session["metadata"] = {"note": ASKED}
    charge = stripe_events.charge(intent, refunded=9)

    async def send(kind: str, of: dict[str, Any], status: int) -> None:
        content, signature = stripe_events.signed(stripe_events.event(kind, of))
        async with httpx2.AsyncClient(base_url=world.stack.url, timeout=60) as http:
            headers = {"stripe-signature": signature, "content-type": "application/json"}
            answer = await http.post(WEBHOOK, content=content, headers=headers)
            assert answer.status_code == status, answer.text
            wrong = await http.post(
                WEBHOOK, content=content, headers={**headers, "stripe-signature": f"t=1,v1={ASKED}"}
            )
            assert wrong.status_code == 400
        assert not any(word in each.text for each in (answer, wrong) for word in (ASKED, stripe_events.PERSONAL))

    async with fault(world):
        await send("checkout.session.completed", session, 500)
    await send("checkout.session.completed", session, 200)
    await send("charge.refunded", charge, 200)
    assert sum(await customer.balance()) == customer.opening + 1000 - 9
