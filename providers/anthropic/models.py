"""What Anthropic's models take, by their names: the form of thinking, sampling, prefilled answers."""

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

_NAME = re.compile(
    r"claude-(?:(?P<old>\d)(?:-(?P<minor>\d))?-)?(?P<class>[a-z]+)(?:-(?P<major>\d)(?:[-.](?P<rest>\d)(?!\d))?)?"
)
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_OLD_EFFORTS = {"xhigh": "high"}


class Thinking(Enum):
    MANUAL = auto()
    """`budget_tokens` alone."""
    EITHER = auto()
    ADAPTIVE = auto()
    """`effort` alone."""


@dataclass(frozen=True, slots=True)
class ModelRules:
    thinking: Thinking
    sampling: bool
    """Takes `temperature`, `top_p` and `top_k`, as long as it does not think."""
    one_of_sampling: bool
    """Takes `temperature` or `top_p`, and not both."""
    strict_tools: bool

    def effort(self, name: str) -> str | None:
        """Anthropic's word for an effort of OpenAI's. None if there is none."""
        name = "low" if name == "minimal" else name
        if self.thinking is Thinking.EITHER:
            name = _OLD_EFFORTS.get(name, name)
        return name if name in _EFFORTS else None


_OTHER_VENDOR = ModelRules(Thinking.MANUAL, sampling=True, one_of_sampling=False, strict_tools=False)
_NEWEST = ModelRules(Thinking.ADAPTIVE, sampling=False, one_of_sampling=True, strict_tools=True)


@lru_cache(maxsize=256)
def rules(model: str) -> ModelRules:
    """Return the rules of a model. A name of Claude that is not known is taken for a new model."""
    name = model.lower()
    at = name.find("claude")
    if at < 0:
        return _OTHER_VENDOR
    match = _NAME.match(name, at)
    if match is None:
        return _NEWEST
    version = _version(match)
    if version is None or version >= (4, 7):
        return _NEWEST
    thinking = Thinking.EITHER if version == (4, 6) else Thinking.MANUAL
    return ModelRules(thinking, sampling=True, one_of_sampling=version >= (4, 1), strict_tools=version >= (4, 5))


def _version(match: re.Match[str]) -> tuple[int, int] | None:
    if match["old"]:
        return int(match["old"]), int(match["minor"] or 0)
    return (int(match["major"]), int(match["rest"] or 0)) if match["major"] else None
