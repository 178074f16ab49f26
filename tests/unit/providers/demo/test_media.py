"""The demo's media jobs, judged by decoding what they made."""

import array
import asyncio
import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import av
import pytest
from PIL import Image, ImageChops, ImageStat

from domain.errors import UpstreamError, UpstreamGone, UpstreamRefused
from domain.media import Kind, MediaRequest
from providers.base import MediaSubmission, OutputFile, Progress, Stage
from providers.demo.media import DemoMedia
from providers.demo.voices import FORMATS, VOICES

ROOT = Path(__file__).resolve().parents[4]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def demo(tmp_path: Path, clock: Clock) -> DemoMedia:
    return DemoMedia(tmp_path / "demo", clock=clock)


def image(**given: Any) -> MediaRequest:
    return _request(given, kind=Kind.IMAGE, model="image", width=128, height=96)


def video(**given: Any) -> MediaRequest:
    return _request(given, kind=Kind.VIDEO, model="video", width=160, height=90, seconds=1.0)


def speech(**given: Any) -> MediaRequest:
    return _request(given, kind=Kind.SPEECH, model="speech")


def _request(given: dict[str, Any], **usual: Any) -> MediaRequest:
    return MediaRequest.model_validate({"prompt": "Good morning, this is the demo speaking."} | usual | given)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def read(files: AsyncIterator[OutputFile]) -> list[tuple[OutputFile, bytes]]:
    return [(each, b"".join([chunk async for chunk in each.chunks])) async for each in files]


async def submit(demo: DemoMedia, request: MediaRequest, reference: str) -> str:
    return (await demo.submit(MediaSubmission(request, reference))).provider_job_id


async def finished(demo: DemoMedia, clock: Clock, request: MediaRequest) -> list[tuple[OutputFile, bytes]]:
    job = await submit(demo, request, "some-job")
    clock.advance(5)
    assert await demo.poll(job) == Progress(Stage.DONE, percent=100)
    return await read(demo.fetch(job))


def samples(content: bytes) -> tuple["array.array[int]", float]:
    """What is heard, as 16-bit mono samples, and for how many seconds."""
    pcm = array.array("h")
    resampler = av.AudioResampler(format="s16", layout="mono", rate=24_000)
    with av.open(io.BytesIO(content), "r") as file:
        for frame in file.decode(audio=0):
            for even in resampler.resample(frame):
                pcm.frombytes(bytes(even.planes[0])[: even.samples * 2])
    return pcm, len(pcm) / 24_000


async def test_images_are_pngs_of_the_asked_size_and_all_different(demo: DemoMedia, clock: Clock) -> None:
    outputs = await finished(demo, clock, image(n=3))

    for file, content in outputs:
        picture = Image.open(io.BytesIO(content))
        picture.load()
        assert (picture.format, picture.size, picture.info) == ("PNG", (128, 96), {})
        assert (file.content_type, file.extension, file.width, file.height) == ("image/png", "png", 128, 96)
        assert len(set(picture.convert("RGB").resize((32, 24)).get_flattened_data())) > 50
    assert len({content for _, content in outputs}) == 3


async def test_an_image_is_1024_pixels_wide_and_high_by_default(demo: DemoMedia, clock: Clock) -> None:
    [(_, content)] = await finished(demo, clock, image(width=None, height=None))
    assert Image.open(io.BytesIO(content)).size == (1024, 1024)


def difference(one: bytes, other: bytes) -> float:
    """The largest mean difference of two films' pictures, in levels of 255. Raises if one has more pictures."""
    with av.open(io.BytesIO(one), "r") as first, av.open(io.BytesIO(other), "r") as second:
        pairs = zip(first.decode(video=0), second.decode(video=0), strict=True)
        apart = [ImageChops.difference(_picture(a), _picture(b)) for a, b in pairs]
    return max(mean for picture in apart for mean in ImageStat.Stat(picture).mean)


def _picture(frame: av.VideoFrame) -> Image.Image:
    return cast("Image.Image", frame.to_image())  # type: ignore[no-untyped-call]  # a gap in PyAV's stubs


@pytest.mark.parametrize("request_of", [image, speech])
async def test_the_same_request_gives_the_same_file(demo: DemoMedia, clock: Clock, request_of: Any) -> None:
    first = await finished(demo, clock, request_of(seed=7))
    second = await finished(demo, clock, request_of(seed=7))
    assert [content for _, content in first] == [content for _, content in second]


async def test_the_same_request_gives_the_same_film(demo: DemoMedia, clock: Clock) -> None:
    """Not the same bytes: on a busy machine, x264 once in a thousand films rounds a corner of a picture otherwise."""
    [[(_, first)], [(_, second)], [(_, other)]] = [await finished(demo, clock, video(seed=seed)) for seed in (7, 7, 8)]
    assert samples(first) == samples(second)
    assert difference(first, second) < 0.5
    assert difference(first, other) > 5


@pytest.mark.parametrize("request_of", [image, video])
async def test_another_seed_gives_another_file(demo: DemoMedia, clock: Clock, request_of: Any) -> None:
    assert (await finished(demo, clock, request_of(seed=1)))[0][1] != (await finished(demo, clock, request_of(seed=2)))[
        0
    ][1]


@pytest.mark.parametrize("seconds", [1.0, 2.5])
async def test_a_video_is_exactly_as_long_as_asked_and_moves(demo: DemoMedia, clock: Clock, seconds: float) -> None:
    [(output, content)] = await finished(demo, clock, video(seconds=seconds))

    with av.open(io.BytesIO(content), "r") as file:
        picture, sound = file.streams.video[0], file.streams.audio[0]
        assert (picture.codec.name, sound.codec.name) == ("h264", "aac")
        assert (picture.width, picture.height) == (160, 90)
        assert picture.average_rate == 24
        assert file.duration == seconds * av.time_base
        assert picture.duration is not None
        assert picture.time_base is not None
        assert picture.duration * picture.time_base == seconds
        frames = [bytes(frame.planes[0]) for frame in file.decode(video=0)]
    assert len(frames) == seconds * 24
    assert len(set(frames)) > len(frames) / 2
    assert max(samples(content)[0]) > 500
    assert content.index(b"moov") < content.index(b"mdat"), "playable before it has arrived whole"
    assert (output.content_type, output.extension, output.duration) == ("video/mp4", "mp4", seconds)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"pcm"}))
async def test_speech_can_be_heard_in_every_format(demo: DemoMedia, clock: Clock, name: str) -> None:
    [(output, content)] = await finished(demo, clock, speech(response_format=name))

    pcm, length = samples(content)
    assert max(pcm) > 5000
    assert output.duration is not None
    assert length == pytest.approx(output.duration, abs=0.12)
    assert (output.content_type, output.extension) == (FORMATS[name].content_type, name)


async def test_pcm_is_bare_samples_at_24_khz(demo: DemoMedia, clock: Clock) -> None:
    [(output, content)] = await finished(demo, clock, speech(response_format="pcm"))
    pcm = array.array("h", content)
    assert max(pcm) > 5000
    assert len(pcm) / 24_000 == pytest.approx(output.duration, abs=0.01)


async def test_every_voice_sounds_different(demo: DemoMedia, clock: Clock) -> None:
    spoken = [
        await finished(demo, clock, speech(prompt="Hello.", voice=voice, response_format="wav")) for voice in VOICES
    ]
    assert len({content for [(_, content)] in spoken}) == len(VOICES)


async def test_speed_makes_it_shorter_and_longer(demo: DemoMedia, clock: Clock) -> None:
    lengths = []
    for speed in (4, 1, 0.25):
        [(output, _)] = await finished(demo, clock, speech(speed=speed))
        lengths.append(output.duration or 0)
    assert lengths == sorted(lengths)
    assert lengths[2] > lengths[1] * 3 > lengths[0] * 8


@pytest.mark.parametrize("request_of", [image, video, speech])
async def test_a_failing_model_accepts_runs_and_then_fails(demo: DemoMedia, clock: Clock, request_of: Any) -> None:
    request = request_of()
    job = await submit(demo, request.model_copy(update={"model": f"{request.model}-fail"}), "some-job")

    assert (await demo.poll(job)).stage is Stage.RUNNING
    clock.advance(5)
    assert await demo.poll(job) == Progress(Stage.FAILED, failure="upstream_error")
    with pytest.raises(UpstreamError):
        await read(demo.fetch(job))


@pytest.mark.parametrize(
    ("prompt", "seconds"), [("a fox [seconds=8]", 8), ("a fox", 20), ("[seconds=99999] a fox", 600)]
)
async def test_a_slow_model_takes_as_long_as_it_is_told(
    demo: DemoMedia, clock: Clock, prompt: str, seconds: float
) -> None:
    job = await submit(demo, image(model="image-slow", prompt=prompt), "some-job")

    assert await demo.poll(job) == Progress(Stage.RUNNING, percent=0)
    clock.advance(seconds / 2)
    assert await demo.poll(job) == Progress(Stage.RUNNING, percent=50)
    with pytest.raises(UpstreamError):
        await read(demo.fetch(job))
    clock.advance(seconds / 2 - 0.001)
    assert await demo.poll(job) == Progress(Stage.RUNNING, percent=99)
    clock.advance(0.001)
    assert await demo.poll(job) == Progress(Stage.DONE, percent=100)


async def test_a_running_job_can_be_cancelled_for_good(demo: DemoMedia, clock: Clock) -> None:
    job = await submit(demo, image(model="image-slow"), "some-job")
    assert await demo.cancel(job) == Progress(Stage.CANCELLED)
    clock.advance(1000)
    assert await demo.poll(job) == Progress(Stage.CANCELLED)
    assert await demo.cancel(job) == Progress(Stage.CANCELLED)
    with pytest.raises(UpstreamError):
        await read(demo.fetch(job))


async def test_a_finished_job_stays_done_when_it_is_cancelled(demo: DemoMedia, clock: Clock) -> None:
    job = await submit(demo, image(), "some-job")
    clock.advance(1)
    assert await demo.cancel(job) == Progress(Stage.DONE, percent=100)
    assert len(await read(demo.fetch(job))) == 1


async def test_discarding_removes_the_output_and_keeps_the_record(
    demo: DemoMedia, clock: Clock, tmp_path: Path
) -> None:
    job = await submit(demo, image(), "some-job")
    clock.advance(1)
    for _ in range(2):
        await demo.discard(job)
    await demo.discard("unknown")

    assert [path.name for path in files_in(tmp_path)] == ["record.json"]
    assert [each.id for each in demo.spool.submissions("some-job")] == [job]
    with pytest.raises(UpstreamGone):
        await read(demo.fetch(job))


async def test_submissions_are_new_jobs_and_can_be_counted(demo: DemoMedia, clock: Clock) -> None:
    assert await demo.find("twice") is None
    jobs = []
    for reference in ("twice", "once", "twice"):
        jobs.append(await submit(demo, image(), reference))
        clock.advance(1)

    assert len(set(jobs)) == 3
    assert [each.id for each in demo.spool.submissions("twice")] == [jobs[0], jobs[2]]
    assert len(demo.spool.submissions()) == 3
    assert await demo.find("twice") == jobs[2]
    assert await demo.find("never") is None


async def test_workers_share_one_folder(demo: DemoMedia, clock: Clock, tmp_path: Path) -> None:
    other = DemoMedia(tmp_path / "demo", clock=clock)
    jobs = await asyncio.gather(
        *(submit(worker, image(model="image-slow"), "some-job") for worker in (demo, other) * 3)
    )

    assert len(other.spool.submissions("some-job")) == 6
    results = await asyncio.gather(*(worker.cancel(jobs[0]) for worker in (demo, other) * 3))
    assert {each.stage for each in results} == {Stage.CANCELLED}
    assert (await other.poll(jobs[1])).stage is Stage.RUNNING


async def test_a_worker_killed_while_it_renders_has_submitted_nothing(demo: DemoMedia, tmp_path: Path) -> None:
    script = (
        "import asyncio, pathlib\n"
        "from domain.media import Kind, MediaRequest\n"
        "from providers.demo.media import DemoMedia\n"
        "from providers.base import MediaSubmission\n"
        "request = MediaRequest(kind=Kind.VIDEO, model='video', prompt='a fox', parameters={'seconds': 20})\n"
        f"demo = DemoMedia(pathlib.Path({str(tmp_path / 'demo')!r}))\n"
        "asyncio.run(demo.submit(MediaSubmission(request, 'some-job')))\n"
    )
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", script, cwd=ROOT)
    try:
        while not files_in(tmp_path):
            assert worker.returncode is None
            await asyncio.sleep(0.02)
    finally:
        worker.kill()
        await worker.wait()

    assert demo.spool.submissions() == []
    assert await demo.find("some-job") is None


async def test_what_killed_workers_left_is_swept_and_what_runs_is_not(demo: DemoMedia, tmp_path: Path) -> None:
    await submit(demo, image(), "some-job")
    old, new = tmp_path / "demo/drafts/old", tmp_path / "demo/drafts/new"
    for draft in (old, new):
        draft.mkdir()
        (draft / "0.mp4").write_bytes(b"half")
    os.utime(old, (0, 0))

    await submit(demo, image(), "some-job")
    assert [left.name for left in (tmp_path / "demo/drafts").iterdir()] == ["new"]


async def test_no_word_of_a_prompt_reaches_the_disk(demo: DemoMedia, tmp_path: Path) -> None:
    sentinel = "quokka-4711"
    for request in (image(), video(), speech(response_format="wav"), speech(), image(model="image-slow")):
        await submit(demo, request.model_copy(update={"prompt": f"{sentinel} says {sentinel} [seconds=9]"}), "some-job")
    failing = image(model="image-fail", prompt=sentinel)
    await demo.cancel(await submit(demo, failing, "some-job"))

    files = files_in(tmp_path)
    assert len(files) > 10
    for path in files:
        written = str(path).encode() + path.read_bytes()
        for trace in (sentinel.encode(), sentinel.encode("utf-16-le"), sentinel.encode().hex().encode(), b"seconds=9"):
            assert trace not in written, path.name


@pytest.mark.parametrize(
    "request_",
    [
        image(model="speech"),
        image(model="image-huge"),
        image(prompt="  "),
        image(width=8),
        image(width=4096, height=4096),
        image(n=0),
        image(n=11),
        video(width=161),
        video(seconds=0),
        video(seconds=61),
        speech(prompt="x" * 4097),
        speech(voice="nobody"),
        speech(response_format="midi"),
        speech(speed=5),
        speech(speed=float("nan")),
    ],
    ids=lambda request: f"{request.model}-{request.prompt[:5].strip()}-{request.width}",
)
async def test_nonsense_is_refused_and_not_submitted(demo: DemoMedia, request_: MediaRequest) -> None:
    with pytest.raises(UpstreamRefused) as refused:
        await submit(demo, request_, "some-job")
    assert not refused.value.retryable
    assert demo.spool.submissions() == []


@pytest.mark.parametrize("job", ["", "unknown", "../jobs", "a" * 32])
async def test_an_unknown_job_is_told_from_a_failed_one(demo: DemoMedia, job: str) -> None:
    for ask in (demo.poll, demo.cancel):
        with pytest.raises(UpstreamGone):
            await ask(job)


def test_without_its_encoders_the_demo_says_what_is_missing(tmp_path: Path) -> None:
    script = (
        "import asyncio, pathlib, sys\n"
        "sys.modules |= dict.fromkeys(('PIL', 'av', 'espeakng_loader'))\n"
        "from domain.media import Kind, MediaRequest\n"
        "from providers.demo import chat, media\n"
        "from providers.base import MediaSubmission\n"
        "request = MediaRequest(kind=Kind.IMAGE, model='image', prompt='a fox')\n"
        f"asyncio.run(media.DemoMedia(pathlib.Path({str(tmp_path)!r})).submit(MediaSubmission(request, 'some-job')))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stderr.strip().splitlines()[-1].startswith("domain.errors.UpstreamError: The demo models need")


def test_the_voice_does_not_outlive_who_started_it() -> None:
    program = ROOT / "providers/demo/espeak.py"
    orphan = [sys.executable, "-I", "-S", str(program), "library", "data", "en-us", "170", "50", "1"]
    assert subprocess.run(orphan, input=b"", check=False).returncode == 1
