"""Log probabilities of the demo model's words: invented, equal for equal words, in OpenAI's shape."""

import zlib
from typing import Any

from providers.demo import tokens

_OTHERS = (" the", " a", " it", " and", " of", " to", " in", " is", " that", " for", " on", " with", " as", " was",
           " at", " by", " be", " or", " an", " not", " we")  # fmt: skip


def of(text: str, alternatives: int) -> dict[str, Any]:
    """Make log probabilities for each token of the text. `alternatives` is the value of `top_logprobs`."""
    return {"content": [_of_token(token, alternatives) for token in tokens.split(text)], "refusal": None}


def _of_token(token: str, alternatives: int) -> dict[str, Any]:
    likely = -(zlib.crc32(token.encode(errors="replace")) % 1000) / 5000
    others = [word for word in _OTHERS if word != token]
    ranked = [_entry(token, likely)] + [_entry(word, likely - 1.5 - rank / 4) for rank, word in enumerate(others)]
    return _entry(token, likely) | {"top_logprobs": ranked[:alternatives]}


def _entry(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": round(logprob, 6), "bytes": list(token.encode(errors="replace"))}
