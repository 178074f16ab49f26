"""Demo images: PNG files."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from providers.demo.landscape import Landscape, View

LABEL = "demo"


def label(size: tuple[int, int]) -> Image.Image:
    """Return a mask of the size of the picture, with the word for a demo in a corner."""
    width, height = size
    mask = Image.new("L", size)
    font = ImageFont.load_default(max(9, min(width, height) / 36))
    margin = min(width, height) / 36
    ImageDraw.Draw(mask).text((width - margin, height - margin), LABEL, fill=150, font=font, anchor="rs")
    return mask


def draw(path: Path, view: View) -> None:
    picture = Landscape(view).picture()
    picture.paste((255, 255, 255), mask=label(view.size))
    picture.save(path, "PNG")
