"""Renders an order to files. Imports the encoders, so import this only to render."""

import asyncio
import threading
from pathlib import Path

from domain.media import Kind
from providers.demo import image, speech, transcript, video
from providers.demo.landscape import View
from providers.demo.order import Order
from providers.demo.spool import File
from providers.demo.voices import FORMATS


async def render(order: Order, folder: Path) -> tuple[File, ...]:
    """Make the outputs of an order, in the folder. Stops when cancelled."""
    match order.kind:
        case Kind.IMAGE:
            return tuple([await _image(order, folder, index) for index in range(order.n)])
        case Kind.VIDEO:
            return (await _video(order, folder),)
        case Kind.SPEECH:
            return (await _speech(order, folder),)
        case Kind.TRANSCRIPTION:
            return (await _transcript(order, folder),)


async def _image(order: Order, folder: Path, index: int) -> File:
    file = File(
        name=f"{index}.png", content_type="image/png", extension="png", width=order.size[0], height=order.size[1]
    )
    view = View(order.prompt, f"{order.seed}:{index}", order.size)
    await asyncio.to_thread(image.draw, folder / file.name, view, order.pictures)
    return file


async def _video(order: Order, folder: Path) -> File:
    width, height = order.size
    length = video.frames_in(order.seconds) / video.FPS
    file = File(name="0.mp4", content_type="video/mp4", extension="mp4", width=width, height=height, duration=length)
    stop = threading.Event()
    try:
        view = View(order.prompt, order.seed, order.size)
        await asyncio.to_thread(video.film, folder / file.name, view, order, stop)
    finally:
        stop.set()
    return file


async def _speech(order: Order, folder: Path) -> File:
    name = f"0.{order.format}"
    length = await speech.say(folder / name, order.prompt, order.voice, order.speed, order.format)
    content_type = FORMATS[order.format].content_type
    return File(name=name, content_type=content_type, extension=order.format, duration=round(length, 3))


async def _transcript(order: Order, folder: Path) -> File:
    content_type = transcript.FORMATS[order.format]
    extension = "json" if content_type == "application/json" else "txt"
    path = folder / f"0.{extension}"
    written = transcript.write(order.seed, order.format, order.language, order.timestamps)
    await asyncio.to_thread(path.write_text, written)
    return File(name=path.name, content_type=content_type, extension=extension)
