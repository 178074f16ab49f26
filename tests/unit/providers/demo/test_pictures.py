"""Pictures of the caller, in what the demo makes."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import av
import pytest
from PIL import Image

from domain.media import Kind, MediaInput, MediaRequest
from providers.base import MediaSubmission
from providers.demo.media import DemoMedia

SIZES = {Kind.IMAGE: "128x96", Kind.VIDEO: "160x90"}


class Later:
    """A clock on which every look is five seconds later."""

    now = datetime(2026, 1, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=5)
        return self.now


async def corner(folder: Path, kind: Kind, content: bytes) -> tuple[int, int, int]:
    """Return the colour where the first picture is."""
    demo = DemoMedia(folder / "demo", clock=Later())
    request = MediaRequest(
        kind=kind, model=kind, prompt="a lake", parameters={"size": SIZES[kind], "seconds": 0.1, "seed": 1}
    )
    given = MediaInput("image", "image/png", content)
    job = (await demo.submit(MediaSubmission(request, "some-job", (given,)))).provider_job_id
    files = [b"".join([chunk async for chunk in file.chunks]) async for file in demo.fetch(job)]
    with av.open(io.BytesIO(files[0]), "r") as file:
        shown: Image.Image = next(file.decode(video=0)).to_image()  # type: ignore[no-untyped-call]  # a gap in PyAV's stubs
    return cast("tuple[int, int, int]", shown.getpixel((12, shown.height - 12)))


@pytest.mark.parametrize("kind", [Kind.IMAGE, Kind.VIDEO])
async def test_a_picture_is_shown_in_the_corner(tmp_path: Path, kind: Kind) -> None:
    red = io.BytesIO()
    Image.new("RGB", (60, 60), (255, 0, 0)).save(red, "PNG")
    level, green, blue = await corner(tmp_path, kind, red.getvalue())
    assert level > 200
    assert green < 60 > blue


@pytest.mark.parametrize("kind", [Kind.IMAGE, Kind.VIDEO])
async def test_what_is_no_picture_is_an_empty_card(tmp_path: Path, kind: Kind) -> None:
    grey = await corner(tmp_path, kind, b"no picture")
    assert max(grey) - min(grey) < 20
