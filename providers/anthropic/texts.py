"""All text in a part of Anthropic's wire that OpenAI's shape has no place for: a hold must cover it too."""

from collections.abc import Iterator, Mapping

_NO_TEXT = frozenset(
    {"type", "id", "index", "signature", "data", "encrypted_content", "encrypted_index", "tool_use_id", "citations"}
    | {"citation", "url", "page_age", "title", "source", "caller", "file_id", "error_code", "container_id"}
)
"""Fields that the model does not write, or writes in another place."""
_RESULT = "_tool_result"


def of(value: object) -> str:
    if isinstance(value, Mapping) and str(value.get("type")).endswith(_RESULT):
        return ""  # what a tool of the provider found is input
    return "".join(_texts(value))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in _NO_TEXT:
                yield from _texts(inner)
