"""Demo transcripts: the demo does not listen. The bytes of a recording choose what it is made to say."""

import json
import random
from collections.abc import Collection, Iterator

FORMATS = {
    "json": "application/json",
    "verbose_json": "application/json",
    "text": "text/plain",
    "srt": "text/plain",
    "vtt": "text/plain",
}
"""The content types of the formats that OpenAI has."""
SEGMENT, WORD = "segment", "word"
TIMESTAMPS = frozenset({SEGMENT, WORD})
SENTENCE_SECONDS = 2
_SENTENCES = (
    "The mist has lifted from the valley.",
    "Two hikers set out before dawn.",
    "The lake lies still below the pass.",
    "Nobody has crossed the ridge since spring.",
    "The last hut is open until October.",
    "A bell rings somewhere far away.",
)


def write(seed: str, form: str, language: str, timestamps: Collection[str] = ()) -> str:
    """Return a transcript of three sentences, in one of the `FORMATS`. Without `timestamps`, segments have them."""
    spoken = random.Random(seed).sample(_SENTENCES, 3)  # noqa: S311  words of a demo, not a secret
    text = " ".join(spoken)
    match form:
        case "json":
            return json.dumps({"text": text})
        case "verbose_json":
            return json.dumps(_verbose(spoken, language, timestamps or (SEGMENT,)))
        case "srt":
            return "\n".join(f"{index + 1}\n{_span(index, ',')}\n{line}\n" for index, line in enumerate(spoken))
        case "vtt":
            cues = "\n".join(f"{_span(index, '.')}\n{line}\n" for index, line in enumerate(spoken))
            return f"WEBVTT\n\n{cues}"
    return f"{text}\n"


def _verbose(spoken: list[str], language: str, timestamps: Collection[str]) -> dict[str, object]:
    length = len(spoken) * SENTENCE_SECONDS
    written = {"task": "transcribe", "language": language, "duration": length, "text": " ".join(spoken)}
    segments = [
        {"id": number, "start": number * SENTENCE_SECONDS, "end": (number + 1) * SENTENCE_SECONDS, "text": sentence}
        for number, sentence in enumerate(spoken)
    ]
    return (
        written
        | ({"segments": segments} if SEGMENT in timestamps else {})
        | ({"words": list(_words(spoken))} if WORD in timestamps else {})
    )


def _words(spoken: list[str]) -> Iterator[dict[str, object]]:
    """The words of a sentence take the same time each."""
    for number, sentence in enumerate(spoken):
        words = sentence.rstrip(".").split()
        edges = [round(SENTENCE_SECONDS * (number + place / len(words)), 2) for place in range(len(words) + 1)]
        for word, start, end in zip(words, edges, edges[1:], strict=False):
            yield {"word": word, "start": start, "end": end}


def _span(number: int, point: str) -> str:
    return " --> ".join(f"00:00:{SENTENCE_SECONDS * edge:02}{point}000" for edge in (number, number + 1))
