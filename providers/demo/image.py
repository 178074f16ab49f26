"""Demo images: PNG files."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from providers.demo.landscape import Landscape, View

LABEL = "demo"
MAX_CARDS = 4


def label(size: tuple[int, int]) -> Image.Image:
    """Return a mask of the size of the picture, with the word for a demo in a corner."""
    width, height = size
    mask = Image.new("L", size)
    font = ImageFont.load_default(max(9, min(width, height) / 36))
    margin = min(width, height) / 36
    ImageDraw.Draw(mask).text((width - margin, height - margin), LABEL, fill=150, font=font, anchor="rs")
    return mask


def cards(pictures: Sequence[bytes], size: tuple[int, int]) -> list[Image.Image]:
    """Return the caller's pictures as small framed ones. What cannot be read is an empty card."""
    side = max(8, min(size[0] // 4, size[1] // 3))
    return [_card(content, side) for content in pictures[:MAX_CARDS]]


def _card(content: bytes, side: int) -> Image.Image:
    frame = max(1, side // 24)
    try:
        with Image.open(BytesIO(content)) as given:
            given.draft("RGB", (side, side))
            shown = given.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        shown = Image.new("RGB", (side, side), (128, 128, 128))
    shown.thumbnail((side, side))
    card = Image.new("RGB", (shown.width + 2 * frame, shown.height + 2 * frame), (255, 255, 255))
    card.paste(shown, (frame, frame))
    return card


def lay(picture: Image.Image, placed: Sequence[Image.Image]) -> None:
    """Put the cards into the lower left corner, side by side."""
    margin = max(1, min(picture.size) // 36)
    x = margin
    for card in placed:
        picture.paste(card, (x, picture.height - margin - card.height))
        x += card.width + margin


def draw(path: Path, view: View, pictures: Sequence[bytes] = ()) -> None:
    picture = Landscape(view).picture()
    lay(picture, cards(pictures, view.size))
    picture.paste((255, 255, 255), mask=label(view.size))
    picture.save(path, "PNG")
