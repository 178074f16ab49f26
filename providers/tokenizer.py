"""Counts tokens with OpenAI's o200k table, which is shipped beside this module. Nothing is downloaded.

The count is exact for OpenAI's current models and an estimate for others (`domain/tokens.py` bounds those).
"""

import base64
import functools
import hashlib
from pathlib import Path

import tiktoken

_TABLE = Path(__file__).parent / "data" / "fb374d419588a4632f3f557e76b4b70aebbca790"
_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
_SUFFIXES = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_PATTERN = "|".join(  # o200k's own splitting rule, as tiktoken publishes it (MIT)
    [
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_SUFFIXES}",
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_SUFFIXES}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)


@functools.cache
def _encoding() -> tiktoken.Encoding:
    table = _TABLE.read_bytes()
    if hashlib.sha256(table).hexdigest() != _SHA256:
        raise RuntimeError(f"{_TABLE} is damaged: reinstall the project")
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in table.splitlines())}
    return tiktoken.Encoding("o200k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})


def load() -> None:
    """Load the table now (half a second, 80 MB), so that the first call does not wait for it."""
    _encoding()


def count(text: str) -> int:
    """Count the tokens of a text. Control tokens in it are plain text: a caller cannot forge them."""
    return len(_encoding().encode_ordinary(text))
