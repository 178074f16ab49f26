"""Input files as callers give them: what is taken, and that every fault names its field."""

import asyncio
import base64
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import NotFound, RequestInvalid
from domain.media_files import FileFacts, FileLimits, MediaFile, upload_id, upload_name
from domain.media_schema import Input, MediaSchema, Parameter, ParameterType
from gateway import media_inputs
from gateway.body_budget import BodyBudget
from gateway.media_inputs import (
    MAX_FILES,
    MAX_MEASURED,
    FileReaders,
    GivenInput,
    Measure,
    MediaInputs,
    ResolvedInput,
    UrlFiles,
    counts,
    split,
)
from gateway.uploads import Upload, Uploads
from outbound.client import Fetched

ACCOUNT = UUID(int=1)
UPLOAD = upload_name(UUID(int=7))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = FileLimits(max_image_bytes=1000, max_audio_bytes=2000, max_video_bytes=3000, max_pixels=10_000)
URL = "https://pictures.example/secret-name.png"


class OneUpload:
    async def find(self, account_id: UUID, name: str) -> Upload:
        if (account_id, name) != (ACCOUNT, UPLOAD):
            raise NotFound
        return Upload(UUID(int=7), FileFacts("image/png", 1, 1), 18, NOW, NOW)

    async def read(self, account_id: UUID, name: str) -> MediaFile:
        return MediaFile((await self.find(account_id, name)).facts, b"image/png uploaded")


class UrlUnusable(Exception):
    pass


class OneFetcher:
    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.timeouts: list[timedelta] = []
        self.when_fetched: Callable[[], None] = lambda: None

    async def fetch(self, url: str, *, max_bytes: int, timeout: timedelta, types: Collection[str]) -> Fetched:  # noqa: ASYNC109
        self.fetched.append(url)
        self.timeouts.append(timeout)
        self.when_fetched()
        if url != URL:
            raise UrlUnusable
        return Fetched(b"image/png fetched", "image/png")


def facts(content: bytes) -> FileFacts | None:
    """A file of these tests begins with its type."""
    name, _, rest = content.partition(b" ")
    if not name.startswith((b"image/", b"audio/")):
        return None
    side = int(rest) if rest.isdigit() else 10
    return FileFacts(name.decode(), side, side) if name.startswith(b"image") else FileFacts(name.decode(), seconds=3.5)


async def measure(content: bytes, content_type: str) -> Decimal | None:
    return None if content.endswith(b"noise") else Decimal("3.5")


class Inputs:
    """What reads input files, and how many of their bytes are counted when they are read."""

    counted = 0

    def __init__(self, fetcher: OneFetcher | None = None, measured: Measure = measure) -> None:
        urls, uploads = UrlFiles(fetcher, (UrlUnusable,)) if fetcher else None, cast(Uploads, OneUpload())
        self.budget = BodyBudget(10_000)
        self.reading = MediaInputs(uploads, FileReaders(facts, measured), LIMITS, self.budget, urls)

    async def resolve(self, account_id: UUID, given: Sequence[GivenInput]) -> tuple[ResolvedInput, ...]:
        async with self.reading.turn(account_id) as claim:
            resolved = await self.reading.resolve(account_id, given, claim)
            self.counted = self.budget.used
            return resolved


def data_uri(content: bytes, content_type: str = "image/png") -> str:
    return f"data:{content_type};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("source", "content"),
    [
        (b"image/png form", b"image/png form"),
        (data_uri(b"image/webp inline"), b"image/webp inline"),
        (data_uri(b"image/webp inline", "text/html"), b"image/webp inline"),
        (UPLOAD, b"image/png uploaded"),
        (URL, b"image/png fetched"),
    ],
)
async def test_a_file_may_be_given_in_every_way(source: str | bytes, content: bytes) -> None:
    (resolved,) = await Inputs(OneFetcher()).resolve(ACCOUNT, [GivenInput("image", source)])
    assert (resolved.role, resolved.file.content) == ("image", content)


@pytest.mark.parametrize(
    ("role", "source", "words"),
    [
        ("image", "upload_x", "id of an upload"),
        ("image", upload_name(UUID(int=8)), "id of an upload"),
        ("image", "file:///etc/passwd", "id of an upload"),
        ("image", "data:image/png,abc", "base64"),
        ("image", "data:image/png;base64,a\nb", "base64 is not valid"),
        ("image", "data:image/png;base64,é", "base64 is not valid"),
        ("image", data_uri(b"<svg/>"), "one of these types"),
        ("image", data_uri(b"audio/mpeg x"), "one of these types"),
        ("audio", data_uri(b"image/png x"), "one of these types"),
        ("mask", data_uri(b"image/png 101"), "101x101"),
        ("image", data_uri(b"image/png".ljust(1001)), "1,000 bytes"),
        ("image", b"image/png".ljust(1001), "1,000 bytes"),
        ("audio", data_uri(b"audio/wav".ljust(2001)), "2,000"),
        ("image", "https://10.0.0.1/x", "public"),
        ("image", "http://pictures.example/x", "public"),
    ],
)
async def test_every_fault_names_its_field_and_repeats_nothing(role: str, source: str | bytes, words: str) -> None:
    with pytest.raises(RequestInvalid, match=words) as caught:
        await Inputs(OneFetcher()).resolve(ACCOUNT, [GivenInput(role, source, "input_reference")])
    assert caught.value.param == "input_reference"
    assert not isinstance(source, str) or source.partition(",")[2][:20] not in str(caught.value) or "," not in source
    assert "example" not in str(caught.value)


async def test_every_url_that_gives_nothing_has_one_text() -> None:
    texts = set()
    for url in ("https://10.0.0.1/", "https://unknown.example/", "http://x/", "https://a.example:22/"):
        with pytest.raises(RequestInvalid) as caught:
            await Inputs(OneFetcher()).resolve(ACCOUNT, [GivenInput("image", url)])
        texts.add(str(caught.value))
    assert len(texts) == 1


async def test_another_accounts_upload_is_as_none() -> None:
    with pytest.raises(RequestInvalid, match="id of an upload"):
        await Inputs().resolve(UUID(int=2), [GivenInput("image", UPLOAD)])


async def test_a_server_without_a_guard_fetches_nothing() -> None:
    with pytest.raises(RequestInvalid, match="cannot be a URL"):
        await Inputs().resolve(ACCOUNT, [GivenInput("image", URL)])


async def test_the_urls_of_a_job_have_a_time_together(monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher, moment = OneFetcher(), [0.0]
    monkeypatch.setattr(media_inputs, "monotonic", lambda: moment[0])

    def slowly() -> None:
        moment[0] += 9

    fetcher.when_fetched = slowly
    for _ in range(2):  # each job has its own
        fetcher.timeouts.clear()
        await Inputs(fetcher).resolve(ACCOUNT, [GivenInput("image", URL)] * 4)
        assert fetcher.timeouts == [timedelta(seconds=seconds) for seconds in (10, 10, 10, 3)]
    with pytest.raises(RequestInvalid, match="30 seconds together") as caught:
        await Inputs(fetcher).resolve(ACCOUNT, [GivenInput("image", URL, f"image[{n}]") for n in range(5)])
    assert caught.value.param == "image[4]"


async def test_a_model_may_take_less_than_the_role() -> None:
    png_only = GivenInput("image", b"image/webp x", types=frozenset({"image/png"}))
    with pytest.raises(RequestInvalid, match=r"types: image/png\."):
        await Inputs().resolve(ACCOUNT, [png_only])
    with pytest.raises(RequestInvalid, match="more than 20 bytes"):
        await Inputs().resolve(ACCOUNT, [GivenInput("image", b"image/png".ljust(21), max_bytes=20)])


async def test_many_files_are_bounded_together() -> None:
    with pytest.raises(RequestInvalid, match="at most 16"):
        await Inputs().resolve(ACCOUNT, [GivenInput("image", b"image/png")] * (MAX_FILES + 1))
    with pytest.raises(RequestInvalid, match="together") as caught:
        await Inputs().resolve(
            ACCOUNT, [GivenInput("image", b"image/png".ljust(1000), f"image[{n}]") for n in range(4)]
        )
    assert caught.value.param == "image[3]"


@given(st.text(max_size=60))
def test_an_uploads_id_has_one_form(name: str) -> None:
    known = upload_id(name)
    assert known is None or upload_name(known) == name


@given(st.uuids())
def test_an_uploads_id_is_read_again(id_: UUID) -> None:
    assert upload_id(upload_name(id_)) == id_


def test_a_mask_needs_the_picture_that_it_is_for() -> None:
    text = Parameter(ParameterType.STRING)
    schema = MediaSchema("prompt", text, inputs={"image": Input(2), "mask": Input(needs=("image",))})
    with pytest.raises(RequestInvalid) as refused:
        split(schema, {"mask": UPLOAD}, {}, {"image": "image[]"})
    assert (refused.value.param, refused.value.code) == ("image[]", "missing_required_parameter")
    _, files = split(schema, {"mask": UPLOAD, "image": UPLOAD}, {}, {})
    assert [file.role for file in files] == ["image", "mask"]


async def test_a_recording_is_measured_and_named_if_it_cannot_be() -> None:
    given = [GivenInput("audio", b"audio/wav 1"), GivenInput("audio", b"audio/mpeg 2")]
    assert counts(await Inputs().resolve(ACCOUNT, given)).seconds == 7
    with pytest.raises(RequestInvalid, match="cannot be measured") as caught:
        await Inputs().resolve(ACCOUNT, [GivenInput("audio", b"audio/wav noise", "file")])
    assert caught.value.param == "file"


async def test_what_is_not_in_the_request_itself_counts_until_the_job_is_accepted() -> None:
    fetcher = OneFetcher()
    reading = Inputs(fetcher)
    fetcher.when_fetched = lambda: seen.append(reading.budget.used)
    seen = list[int]()
    inline = [GivenInput("image", data_uri(b"image/webp inline")), GivenInput("image", b"image/png form")]
    await reading.resolve(ACCOUNT, inline)
    assert reading.counted == 0
    await reading.resolve(ACCOUNT, [GivenInput("image", UPLOAD)])
    assert reading.counted == len(b"image/png uploaded")
    await reading.resolve(ACCOUNT, [GivenInput("image", UPLOAD), GivenInput("image", URL)])
    assert seen == [len(b"image/png uploaded") + LIMITS.max_image_bytes]
    assert reading.counted == len(b"image/png uploaded" + b"image/png fetched")
    with pytest.raises(RequestInvalid):
        await reading.resolve(ACCOUNT, [GivenInput("image", URL + "x")])
    assert reading.budget.used == 0


async def test_two_recordings_are_measured_at_a_time() -> None:
    running, most = 0, 0

    async def slow(content: bytes, content_type: str) -> Decimal:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return Decimal(1)

    busy = Inputs(measured=slow)
    accounts = [UUID(int=number) for number in range(9)]
    await asyncio.gather(*(busy.resolve(each, [GivenInput("audio", b"audio/wav 1")]) for each in accounts))
    assert most == MAX_MEASURED


def test_inputs_that_do_not_go_together_are_refused() -> None:
    last, reference = Input(needs=("image",)), Input(3, without=("image", "last_frame"))
    roles = {"image": Input(), "last_frame": last, "reference": reference}
    schema = MediaSchema("prompt", Parameter(ParameterType.STRING), inputs=roles)
    with pytest.raises(RequestInvalid, match="'image' is required beside 'last_frame'") as missing:
        split(schema, {"last_frame": UPLOAD}, {}, {})
    assert missing.value.param == "image"
    with pytest.raises(RequestInvalid, match="does not take 'reference' with 'image'") as beside:
        split(schema, {"image": UPLOAD, "reference": UPLOAD}, {}, {})
    assert beside.value.param == "reference"
    for files in ({"image": UPLOAD, "last_frame": UPLOAD}, {"reference": [UPLOAD] * 3}, {}):
        assert split(schema, files, {}, {})
