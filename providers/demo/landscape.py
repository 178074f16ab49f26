"""Misty mountains: the picture behind the demo's images and videos. The same prompt and seed give the same scene."""

import math
import random
from dataclasses import dataclass, field

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from providers.demo import moods
from providers.demo.moods import Colour

RIDGES = 6
ACROSS, DOWN = 4, 2
"""Outlines are drawn this much larger and then reduced: smooth edges, and in a video steps of a quarter pixel."""


@dataclass(frozen=True, slots=True)
class View:
    """The parameters of a landscape."""

    prompt: str = field(repr=False)
    seed: str = field(repr=False)
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ridge:
    """One mountain range: its colours, and where it is, once per quarter of a pixel that it may have moved."""

    depth: float
    """0 is far away, 1 is in front."""
    top: int
    slope: Image.Image
    masks: tuple[Image.Image, ...]

    def draw(self, picture: Image.Image, shift: float) -> None:
        """Draw the range onto the picture, moved `shift` pixels to the left."""
        whole = int(shift)
        mask = self.masks[int((shift - whole) * len(self.masks))]
        picture.paste(self.slope, (0, self.top), mask.crop((whole, 0, whole + picture.width, mask.height)))


class Landscape:
    """One scene. `travel` is how many pixels the nearest range can be moved to the left."""

    def __init__(self, view: View, travel: float = 0) -> None:
        self._dice = random.Random(f"{view.prompt}\n{view.seed}")  # noqa: S311  a picture, not a secret
        self._mood = moods.suiting(view.prompt, self._dice)
        self._travel = travel
        self.width, self.height = view.size
        self._light = (self._dice.uniform(0.22, 0.78), self._dice.uniform(0.24, 0.40))
        self._sky = self._clouded(self._starred(self._faded(self._mood.sky, self.height * 0.72)))
        self._glow = self._glowing()
        self._ridges = [self._ridge(index / (RIDGES - 1)) for index in range(RIDGES)]
        self._flock = [
            (self._dice.uniform(-0.1, 0.1), self._dice.uniform(-0.05, 0.05), self._dice.uniform(0.009, 0.014))
            for _ in range(self._dice.randint(4, 7))
        ]
        self._perch = (self._dice.uniform(0.25, 0.7), self._dice.uniform(0.12, 0.28))

    def picture(self, *, moved: float = 0, risen: float = 0, flown: float = 0) -> Image.Image:
        """Draw the scene. `moved` shifts the nearest range, in pixels; `risen` and `flown` are parts of a side."""
        picture = self._lit(risen)
        for ridge in self._ridges:
            ridge.draw(picture, min(moved, self._travel) * ridge.depth)
        for index, (dx, dy, size) in enumerate(self._flock):
            x, y = (self._perch[0] + dx + flown) * self.width, (self._perch[1] + dy - flown / 8) * self.height
            flap = 0.55 + 0.45 * math.sin(flown * 90 + index * 2)
            _bird(picture, (x, y), size * min(self.width, self.height), flap, self._mood.near)
        return picture

    def _lit(self, risen: float) -> Image.Image:
        """Return the sky with its light. Light adds up, so it is screened, not painted."""
        x, y = self._light[0] * self.width, (self._light[1] - risen) * self.height
        shining = Image.new("RGB", self._sky.size)
        shining.paste(self._glow, (round(x - self._glow.width / 2), round(y - self._glow.height / 2)))
        return ImageChops.screen(self._sky, shining)

    def _faded(self, stops: tuple[Colour, ...], reach: float) -> Image.Image:
        """Return a gradient of the colours from the top down."""
        column = Image.new("RGB", (1, self.height))
        for y in range(self.height):
            column.putpixel((0, y), _along(stops, min(1.0, y / reach)))
        return column.resize((self.width, self.height))

    def _starred(self, sky: Image.Image) -> Image.Image:
        mask = Image.new("L", (self.width * 2, self.height * 2))
        pen = ImageDraw.Draw(mask)
        for _ in range(self._mood.stars):
            x, y = self._dice.random() * mask.width, self._dice.random() ** 1.5 * mask.height * 0.62
            brightness = self._dice.uniform(0.25, 1)
            size = mask.height / 1100 * (1.0 if brightness < 0.85 else 1.7)
            pen.ellipse((x - size, y - size, x + size, y + size), fill=round(255 * brightness))
        sky.paste((255, 255, 255), mask=mask.reduce(2))
        return sky

    def _clouded(self, sky: Image.Image) -> Image.Image:
        """Add long thin clouds above the horizon: they are drawn small, then enlarged and blurred."""
        small = Image.new("L", (192, 108))
        pen = ImageDraw.Draw(small)
        for _ in range(self._dice.randint(5, 9)):
            x, y = self._dice.uniform(-20, 212), self._dice.uniform(12, 62)
            for _ in range(5):
                wide, high = self._dice.uniform(8, 34), self._dice.uniform(0.6, 2.2)
                cx, cy = x + self._dice.uniform(-22, 22), y + self._dice.uniform(-2.2, 2.2)
                pen.ellipse((cx - wide, cy - high, cx + wide, cy + high), fill=self._dice.randint(30, 96))
        soft = small.filter(ImageFilter.GaussianBlur(1.6)).resize(sky.size, Image.Resampling.BICUBIC)
        sky.paste(_blend(self._mood.sky[3], (255, 255, 255), 0.25), mask=soft)
        return sky

    def _glowing(self) -> Image.Image:
        """Draw the sun or the moon: a disc and its halo, on black."""
        side = min(self.width, self.height)
        reach, disc = round(side * 1.7), max(2, round(side * 0.052))
        glow = Image.new("RGB", (reach, reach))
        # Pillow's gradient is black in its corners only: what is outside of the inner circle is removed.
        halo = ImageChops.invert(Image.radial_gradient("L"))
        halo = halo.point([round(190 * (max(0, level - 76) / 179) ** 2.2) for level in range(256)])
        colour = _blend(self._mood.sky[3], self._mood.light, 0.4)
        glow.paste(colour, mask=halo.resize((reach, reach), Image.Resampling.BICUBIC))
        spot = Image.new("L", (disc * 8, disc * 8))
        ImageDraw.Draw(spot).ellipse((0, 0, spot.width - 1, spot.height - 1), fill=255)
        glow.paste(self._mood.light, (reach // 2 - disc, reach // 2 - disc), spot.reduce(4))
        return glow

    def _ridge(self, depth: float) -> Ridge:
        outline = self._outline(self.width + math.ceil(self._travel * depth) + 1, depth)
        firs = self._firs(outline, depth) if depth > 0.7 else []
        top = max(0, int(min([*outline, *(y for fir in firs for _, y in fir)])))
        large = Image.new("L", (len(outline) * ACROSS, (self.height - top) * DOWN))
        pen = ImageDraw.Draw(large)
        crest = list(enumerate(outline))
        for shape in ([(0.0, self.height), *crest, (len(outline), self.height)], *firs):
            pen.polygon([(x * ACROSS, (y - top) * DOWN) for x, y in shape], fill=255)
        phases = range(ACROSS if self._travel else 1)
        masks = tuple(ImageChops.offset(large, -phase, 0).reduce((ACROSS, DOWN)) for phase in phases)
        return Ridge(depth, top, self._slope(depth).crop((0, 0, self.width, self.height - top)), masks)

    def _outline(self, width: int, depth: float) -> list[float]:
        """Return the height of the range at each column: broad hills with finer and finer ones on top."""
        base = self.height * (0.50 + 0.40 * depth**1.25)
        pitch = 2 * math.pi / (self.height * (1.5 - 0.5 * depth))
        tall = self.height * (0.17 - 0.09 * depth)
        # A fold, the absolute value of a sine, has the sharp crest of a mountain; a plain sine is a hill.
        sharp = 0.75 - 0.6 * depth
        outline = [base] * width
        for octave in range(8):
            step = pitch * self._dice.uniform(0.7, 1.3) * 2**octave
            shift, high = self._dice.uniform(0, 2 * math.pi), tall * 0.52**octave
            for x in range(width):
                fold = 1 - 2 * abs(math.sin(x * step / 2 + shift))
                outline[x] -= high * (sharp * fold + (1 - sharp) * math.sin(x * step + shift))
        return outline

    def _slope(self, depth: float) -> Image.Image:
        """Return the colours of a range, which fade from its top down into the mist of the valley."""
        colour = _blend(self._mood.far, self._mood.near, depth**0.85)
        mist = _blend(self._mood.sky[3], colour, 0.25 + 0.75 * depth**1.5)
        stops = tuple(_blend(colour, mist, (step / 8) ** 1.2) for step in range(9))
        return self._faded(stops, self.height * (0.30 - 0.08 * depth))

    def _firs(self, outline: list[float], depth: float) -> list[list[tuple[float, float]]]:
        """Return trees along the crest, as triangles."""
        triangles = []
        x = 0.0
        while x < len(outline):
            size = self.height * self._dice.uniform(0.03, 0.075) * (0.35 + 3 * (depth - 0.7))
            foot, lean = outline[int(x)] + size * 0.12, self._dice.uniform(-0.02, 0.02) * size
            for tier in range(5):
                low, half = foot - size * (0.02 + 0.17 * tier), size * (0.21 - 0.036 * tier)
                triangles.append([(x - half, low), (x + half, low), (x + lean, low - size * 0.32)])
            x += size * self._dice.choice((0.22, 0.3, 0.42, 0.6, 1.9))
        return triangles


def _bird(picture: Image.Image, at: tuple[float, float], size: float, flap: float, colour: Colour) -> None:
    """Draw a bird of two wings. `flap` is how high they are."""
    fine = 8
    mask = Image.new("L", (math.ceil(size * 4) * fine, math.ceil(size * 3) * fine))
    tip = 0.4 - 1.2 * flap
    shape = [(-1.6, tip), (-0.7, -0.55 * flap), (0, 0), (0.7, -0.55 * flap), (1.6, tip)]
    points = [(mask.width / 2 + x * size * fine, mask.height / 2 + y * size * fine) for x, y in shape]
    ImageDraw.Draw(mask).line(points, fill=255, width=max(fine, round(size * fine / 4)), joint="curve")
    soft = mask.reduce(fine)
    picture.paste(colour, (round(at[0] - soft.width / 2), round(at[1] - soft.height / 2)), soft)


def _blend(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _along(stops: tuple[Colour, ...], at: float) -> Colour:
    place = at * (len(stops) - 1)
    index = min(int(place), len(stops) - 2)
    return _blend(stops[index], stops[index + 1], place - index)
