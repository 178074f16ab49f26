"""Encodes samples to audio files, and to the sound track of a film."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av import AudioFrame, AudioStream
from av.filter import Graph

from providers.demo.voices import FORMATS

SAMPLE = 2
"""Bytes of one sample: all sound here is 16-bit mono."""
BLOCK = 24_000
"""Samples that an encoder gets at once."""


def write(path: Path, pcm: bytes, rate: int, name: str) -> None:
    """Write 16-bit mono samples as one audio file. The muxer adds no metadata."""
    how = FORMATS[name]
    with av.open(str(path), "w", format=how.container, options={"fflags": "+bitexact"}) as file:
        encoder = file.add_stream(how.codec, rate=how.rate, layout="mono", options={"flags": "+bitexact"})
        stream = cast("AudioStream", encoder)
        if how.bit_rate:
            stream.bit_rate = how.bit_rate
        for frame in frames(pcm, rate):
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def frames(pcm: bytes, rate: int) -> Iterator[AudioFrame]:
    """Yield the samples in blocks, as FFmpeg takes them."""
    for start in range(0, len(pcm), BLOCK * SAMPLE):
        block = pcm[start : start + BLOCK * SAMPLE]
        frame = AudioFrame(format="s16", layout="mono", samples=len(block) // SAMPLE)
        frame.planes[0].update(block)
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = start // SAMPLE
        yield frame


def stretched(pcm: bytes, rate: int, tempo: float) -> bytes:
    """Change the speed of a voice to 0.5 to 2 times, without changing its pitch."""
    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format="s16", layout="mono", time_base=Fraction(1, rate))
    filters = (
        source,
        graph.add("atempo", str(tempo)),
        graph.add("aformat", "sample_fmts=s16"),
        graph.add("abuffersink"),
    )
    graph.link_nodes(*filters).configure()
    out = bytearray()
    for frame in (*frames(pcm, rate), None):
        source.push(frame)
        out += b"".join(_pulled(graph))
    return bytes(out)


def _pulled(graph: Graph) -> Iterator[bytes]:
    with suppress(av.BlockingIOError, av.EOFError):
        while True:
            frame = graph.pull()
            assert isinstance(frame, AudioFrame)  # noqa: S101  the graph carries nothing else
            yield bytes(frame.planes[0])[: frame.samples * SAMPLE]
