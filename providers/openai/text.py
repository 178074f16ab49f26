"""Collects all text of an answer. It is counted when the provider reports no usage, and a hold must cover it."""

from collections.abc import Collection, Iterator, Mapping

_REASONING = ("reasoning_content", "reasoning", "reasoning_details")
"""Fields for a model's reasoning. Some providers write the same text in two of them."""
_NO_TEXT = frozenset(
    {"role", "id", "type", "index", "format", "signature", "data", "annotations", "images", "image_url"}
    | {"encrypted_content", "thought_signature"}
)

_PLAIN = frozenset({"role", "content"})


def of_delta(delta: Mapping[str, object]) -> str:
    """Return the text of a delta or a message: content, refusal, arguments of tools, and the reasoning once."""
    if delta.keys() <= _PLAIN:
        content = delta.get("content")
        return content if isinstance(content, str) else "".join(_texts(content))
    reasoning = next((delta[name] for name in _REASONING if delta.get(name)), None)
    return "".join([*_texts(delta, _REASONING), *_texts(reasoning)])


def _texts(value: object, left_out: Collection[str] = ()) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for element in value:
                yield from _texts(element)
        case dict():
            for name, inner in value.items():
                if name not in _NO_TEXT and name not in left_out:
                    yield from _texts(inner)
