"""Demo speech, by espeak-ng."""

import asyncio
import importlib
import os
import sys
from pathlib import Path

from domain.errors import UpstreamError
from providers.demo import sound
from providers.demo.espeak import SAMPLE_RATE
from providers.demo.voices import VOICES, Voice

TIMEOUT = 60.0
_LOADER = importlib.import_module("espeakng_loader")  # by name: it has no types
_PROGRAM = Path(__file__).with_name("espeak.py")
_WORDS_PER_MINUTE = 170
_SLOWEST, _FASTEST = 80, 450
"""Words per minute of espeak-ng; a speed beyond them is reached by stretching afterwards."""


async def say(path: Path, text: str, voice: str, speed: float, name: str) -> float:
    """Write the spoken text as an audio file, and return its length in seconds. The same text gives the same bytes."""
    wanted = _WORDS_PER_MINUTE * speed
    native = min(max(wanted, _SLOWEST), _FASTEST)
    pcm = await _spoken(text, VOICES[voice], round(native))
    return await asyncio.to_thread(_written, path, pcm, wanted / native, name)


def _written(path: Path, pcm: bytes, tempo: float, name: str) -> float:
    if tempo != 1:
        pcm = sound.stretched(pcm, SAMPLE_RATE, tempo)
    sound.write(path, pcm, SAMPLE_RATE, name)
    return len(pcm) / sound.SAMPLE / SAMPLE_RATE


async def _spoken(text: str, voice: Voice, words_per_minute: int) -> bytes:
    # The text goes in by stdin: every user of the machine can read arguments. -I and -S: no other code, a fast start.
    command = (sys.executable, "-I", "-S", str(_PROGRAM))
    library = (_LOADER.get_library_path(), _LOADER.get_data_path())
    manner = (voice.name, str(words_per_minute), str(voice.pitch), str(os.getpid()))
    speaker = await asyncio.create_subprocess_exec(
        *command,
        *library,
        *manner,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            pcm, _ = await speaker.communicate(text.encode())
    except TimeoutError:
        raise UpstreamError from None
    finally:
        if speaker.returncode is None:
            speaker.kill()
            await speaker.wait()
    if speaker.returncode != 0 or not pcm:
        raise UpstreamError
    return pcm
