"""The voices of ElevenLabs: by the names of its own ones, by names of an operator, or by id."""

import re
from collections.abc import Mapping

from domain.catalog import Provider
from domain.errors import UpstreamRefused

PREMADE: Mapping[str, str] = {
    "alice": "Xb7hH8MSUJpSbSDYfk2k",
    "aria": "9BWtsMINqrJLrRacOk9x",
    "bill": "pqHfZKP75CvOlQylNhV4",
    "brian": "nPczCjzI2devNBG1zQrb",
    "callum": "N2lVS1w4EtoT3dr4eOWO",
    "charlie": "IKne3meq5aSn9XLyUdCD",
    "charlotte": "XB0fDUnXU5powFXDhCwa",
    "chris": "iP95p4xoKVk53GoZ742B",
    "daniel": "onwK4e9ZLuTAKqWW03q9",
    "eric": "cjVigY5qzO86Huf0OWal",
    "george": "JBFqnCBsd6RMkjVDRZzb",
    "jessica": "cgSgspJ2msm6clMCkdW9",
    "laura": "FGY2WhTYpPnrIDTdsKH5",
    "liam": "TX3LPaxmHKxFdv7VOQHJ",
    "lily": "pFZP5JQG7iQjIQuC4Bku",
    "matilda": "XrExE9yKIg1WjnnlVkGX",
    "rachel": "21m00Tcm4TlvDq8ikWAM",
    "river": "SAz9YHcvj6GT2YYXdXww",
    "roger": "CwhRBWXzGAHq8TQ4Fs17",
    "sarah": "EXAVITQu4vr4xnSDxMaL",
    "will": "bIHbv24MWmvRXEqhxEMX",
}
"""Those that every account has, by their names in lower case."""
LIKE_OPENAI: Mapping[str, str] = {
    "alloy": "river",
    "ash": "brian",
    "ballad": "daniel",
    "cedar": "roger",
    "coral": "laura",
    "echo": "eric",
    "fable": "george",
    "marin": "sarah",
    "nova": "jessica",
    "onyx": "bill",
    "sage": "alice",
    "shimmer": "matilda",
    "verse": "callum",
}
"""OpenAI's names, and a premade voice of about that kind: for clients that know no others."""
OPTION = "voices"
"""The provider's option with more names: `alloy=EXAVITQu4vr4xnSDxMaL, nova=…`."""
_ID = re.compile(r"[A-Za-z0-9]{20}")


def of(provider: Provider) -> Mapping[str, str]:
    """Return the ids by name, those of the operator first."""
    like = {name: PREMADE[premade] for name, premade in LIKE_OPENAI.items()}
    return {**PREMADE, **like, **_named(provider.options.get(OPTION, ""))}


def problem(provider: Provider) -> str | None:
    """Say what is wrong with the option. None: nothing."""
    pairs = _named(provider.options.get(OPTION, ""))
    if all(name and _ID.fullmatch(id_) for name, id_ in pairs.items()):
        return None
    return f'needs {OPTION} = "name=id, name=id", where an id has 20 letters and digits'


def id_of(voice: str | None, ids: Mapping[str, str]) -> str:
    """Return the id of a voice. Raises `UpstreamRefused` for a name that nobody gave it."""
    if voice is None:
        raise UpstreamRefused
    known = ids.get(voice.lower())
    if known is None and not _ID.fullmatch(voice):
        raise UpstreamRefused
    return known or voice


def _named(option: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in option.split(",") if pair.strip())
    return {name.strip().lower(): id_.strip() for name, _, id_ in pairs}
