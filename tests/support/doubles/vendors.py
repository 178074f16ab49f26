"""All vendors of media in one process, which nobody kills: `python -m tests.support.doubles.vendors FOLDER PORT`.

It writes `catalog.toml` with their models into the folder. Over HTTP at the port it lists what can be ordered, and each
submission that arrived, by the number in its prompt and with the status of its answer. It also receives webhooks there.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.doubles import elevenlabs_server, fal_server, media_files, replicate_server, toy_media
from tests.support.doubles.google_media import GoogleMedia
from tests.support.doubles.openai_media import OpenAIMediaServer
from tests.support.doubles.openrouter_media import OpenRouterMedia
from tests.support.doubles.threaded_app import ThreadedApp
from tests.support.doubles.xai_media import XaiMedia
from tests.support.key_files import key_file

REFUSED_HOOKS = 25
"""Of 256."""
NUMBER = re.compile(rb"order-(\d+)-")
PRICES = {"image": ("image", 300), "video": ("call", 5000), "speech": ("call", 700)}
TYPES = {"image": "image/png", "video": "video/mp4", "speech": "audio/mpeg"}
QUEUE_FAULTS = ("slow", "cut", "shaky", "failed", "policy", "busy", "nameless", "lost", "never")
SUBMIT_FAULTS = ("busy-once", "unavailable-once", "slow", "lost", "broken", "garbage")
POLL_FAULTS = ("lost-poll", "broken-poll", "busy-poll", "fails", "moderated")
"""Of vendors that cannot be stopped: what never ends there ends at its deadline."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model as a customer orders it. Its vendor does what the fault says, by the model's name or by the prompt."""

    model: str
    kind: str
    provider: str
    upstream: str
    faults: Sequence[str] = ()
    """What may be in the prompt. Without it, all is well."""
    body: dict[str, Any] = field(default_factory=dict)
    content_type: str = ""
    never: bool = False
    """It ends when it is cancelled, and not before."""
    well: bool = True
    """Its vendor makes it, unless the prompt says otherwise."""
    takes: str = ""
    """The field for an input file."""

    @property
    def entry(self) -> str:
        """Of the catalog."""
        unit, price = PRICES[self.kind]
        route = f'{{ provider = "{self.provider}", model = "{self.upstream}" }}'
        head = f'[models.{self.model}]\nmodality = "{self.kind}"\ncredits_per_{unit} = {price}\n'
        inputs = f"inputs = {{ {self.takes} = {{ max = 1 }} }}\n" if self.takes else ""
        return f"{head}{inputs}routes = [{route}]\n"


def _by_name(provider: str, kind: str, upstream: str, faults: Sequence[str], **body: Any) -> Iterator[Offer]:
    """A model for each fault: its name says it."""
    for fault in ("", *faults):
        name = f"{upstream}--{fault}" if fault else upstream
        model = f"{provider}-{kind}-{fault or 'plain'}"
        yield Offer(model, kind, provider, name, body=body, never=fault == "never", well=not fault)


RACHEL = {"voice": "Rachel"}
OFFERS = [
    *_by_name("my-fal", "image", "fal-ai/flux", QUEUE_FAULTS),
    Offer("my-fal-video", "video", "my-fal", "fal-ai/veo3.1/fast--video"),
    *_by_name("my-replicate", "image", "a/b", QUEUE_FAULTS),
    *_by_name("my-elevenlabs", "speech", "eleven_v3", ("slow", "cut", "lost", "policy", "busy"), **RACHEL),
    Offer(
        "my-studio-image", "image", "my-studio", "gemini-3.1-flash-image", (*SUBMIT_FAULTS, "moderated"), takes="image"
    ),
    Offer(
        "my-studio-omni", "video", "my-studio", "gemini-omni-1.1-flash", ("lost", "moderated", "never"), takes="image"
    ),
    Offer("my-cloud-veo", "video", "my-cloud", "veo-3.1-generate-001", (*SUBMIT_FAULTS, *POLL_FAULTS), takes="image"),
    Offer(
        "my-grok-image",
        "image",
        "my-grok",
        "grok-imagine-image",
        (*SUBMIT_FAULTS, "moderated", "rejected"),
        takes="image",
    ),
    Offer("my-grok-video", "video", "my-grok", "grok-imagine-video", (*SUBMIT_FAULTS, *POLL_FAULTS), takes="image"),
    Offer("my-router-image", "image", "my-router", "a/image", (*SUBMIT_FAULTS, "blocked", "error-with-200")),
    Offer("my-router-video", "video", "my-router", "a/video", (*SUBMIT_FAULTS, *POLL_FAULTS)),
    Offer("my-openai-image", "image", "my-openai", "gpt-image-2", (*SUBMIT_FAULTS, "moderation", "fewer", "none")),
    Offer("my-openai-speech", "speech", "my-openai", "tts-1", ("busy-once", "lost", "moderation"), {"voice": "alloy"}),
    Offer("my-toy", "image", "my-toy", "toy-1"),
    Offer("demo-image", "image", "demo", "image", body={"size": "64x64"}, takes="image"),
    Offer("demo-image-slow", "image", "demo", "image-slow", ("seconds=1", "seconds=4"), {"size": "64x64"}),
    Offer("demo-image-fail", "image", "demo", "image-fail", body={"size": "64x64"}, well=False),
    Offer("demo-speech", "speech", "demo", "speech"),
]


@dataclass(slots=True)
class Arrival:
    """A submission as it arrived."""

    provider: str
    number: int
    status: int = 0
    """Of the answer. Zero: there was none, or not yet."""


@dataclass(slots=True)
class Hooks:
    """A receiver of webhooks. It refuses the first attempt of some."""

    received: list[dict[str, Any]] = field(default_factory=list)
    """With what makes their signatures, and the status of the answer."""

    async def receive(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        message = headers["webhook-id"]
        again = any((each["to"], each["headers"]["webhook-id"]) == (request.path, message) for each in self.received)
        status = 500 if not again and sha256(message.encode()).digest()[0] < REFUSED_HOOKS else 200
        body = (await request.read()).decode()
        self.received.append({"to": request.path, "headers": headers, "body": body, "status": status})
        return web.Response(status=status)

    async def list(self, _: web.Request) -> web.Response:
        return web.json_response(self.received)


@dataclass(slots=True)
class Vendors:
    """The doubles, by the names of their providers."""

    arrivals: list[Arrival] = field(default_factory=list)
    servers: dict[str, Any] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    """GET requests by provider: how often jobs are polled, and files fetched."""

    def start(self, opened: ExitStack) -> None:
        kinds: dict[str, type[ThreadedApp]] = {
            "my-fal": fal_server.FalServer,
            "my-replicate": replicate_server.ReplicateServer,
            "my-elevenlabs": elevenlabs_server.ElevenLabsServer,
            "my-google": GoogleMedia,
            "my-grok": XaiMedia,
            "my-router": OpenRouterMedia,
            "my-openai": OpenAIMediaServer,
            "my-toy": toy_media.ToyVendor,
        }
        for name, kind in kinds.items():
            self.servers[name] = opened.enter_context(self._recorded(name, kind))

    def _recorded(self, name: str, kind: type[ThreadedApp]) -> ThreadedApp:
        @web.middleware
        async def note(request: web.Request, handler: Any) -> web.StreamResponse:
            self.reads[name] += request.method == "GET"
            if request.method != "POST" or (match := NUMBER.search(await request.read())) is None:
                answer: web.StreamResponse = await handler(request)
                return answer
            arrival = Arrival(name, int(match[1]))
            self.arrivals.append(arrival)
            answer = await handler(request)
            arrival.status = answer.status
            return answer

        def routes(self: ThreadedApp, app: web.Application) -> None:
            kind.routes(self, app)
            app.middlewares.append(note)

        recorded: ThreadedApp = type(f"Recorded{kind.__name__}", (kind,), {"routes": routes})()
        return recorded

    @property
    def catalog(self) -> str:
        of = self.servers
        google = of["my-google"].origin
        providers = [
            _provider("my-fal", "fal", of["my-fal"].url, fal_server.KEY),
            _provider("my-replicate", "replicate", f"{of['my-replicate'].url}/v1", replicate_server.KEY),
            _provider("my-elevenlabs", "elevenlabs", f"{of['my-elevenlabs'].url}/v1", elevenlabs_server.KEY),
            _provider("my-studio", "gemini", f"{google}/v1beta", GoogleMedia.key),
            _provider("my-cloud", "vertex", f"{google}/v1beta1", json.dumps(key_file(google))),
            _provider("my-grok", "xai", of["my-grok"].url, XaiMedia.key),
            _provider("my-router", "openrouter", of["my-router"].url, OpenRouterMedia.key),
            _provider("my-openai", "openai", of["my-openai"].url, OpenAIMediaServer.key),
            _provider("my-toy", "toy", of["my-toy"].provider.base_url, "toy-key"),
        ]
        return "\n".join([*providers, *(offer.entry for offer in OFFERS if offer.provider != "demo")])


def _provider(name: str, kind: str, url: str, key: str) -> str:
    lines = [f"[providers.{name}]", f'kind = "{kind}"', f'base_url = "{url}"', f"api_key = '''{key}'''"]
    return "\n".join([*lines, 'privacy = "retained"', ""])


def _digests() -> list[str]:
    """Of all files that vendors give."""
    sounds = [media_files.sound(extension) for extension in ("mp3", "wav", "ogg", "pcm")]
    return [sha256(file).hexdigest() for file in (media_files.picture(), media_files.film(), toy_media.PNG, *sounds)]


def _offered(offer: Offer) -> dict[str, Any]:
    return asdict(offer) | {"content_type": offer.content_type or TYPES[offer.kind]}


async def serve(folder: Path, port: int) -> None:
    vendors, hooks = Vendors(), Hooks()
    with ExitStack() as opened:
        vendors.start(opened)
        (folder / "catalog.toml").write_text(vendors.catalog)

        async def offers(_: web.Request) -> web.Response:
            return web.json_response({"offers": [_offered(offer) for offer in OFFERS], "files": _digests()})

        async def arrivals(_: web.Request) -> web.Response:
            return web.json_response([asdict(arrival) for arrival in list(vendors.arrivals)])

        async def reads(_: web.Request) -> web.Response:
            return web.json_response(vendors.reads.total())

        app = web.Application()
        app.router.add_get("/", offers)
        app.router.add_get("/reads", reads)
        app.router.add_get("/arrivals", arrivals)
        app.router.add_post("/hooks", hooks.receive)
        app.router.add_post("/hooks/job", hooks.receive)
        app.router.add_get("/hooks", hooks.list)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
