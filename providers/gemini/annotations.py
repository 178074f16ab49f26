"""Turns grounding and citations into OpenAI's `annotations`. Gemini counts bytes of UTF-8; OpenAI counts characters."""

from collections.abc import Iterator, Mapping
from typing import Any

from providers.gemini import models
from providers.upstream_json import integer


class Annotations:
    """The sources of one choice. Each is given once: streams repeat them."""

    def __init__(self) -> None:
        self._known: set[tuple[str, int, int]] = set()
        self._queries: set[str] = set()
        self._grounded = False

    def of(self, candidate: Mapping[str, Any], text: bytearray) -> list[dict[str, Any]]:
        """Return the new sources in a candidate. `text` is what the choice has said so far."""
        grounding = candidate.get("groundingMetadata")
        sources = [*_cited(candidate.get("citationMetadata"))]
        if isinstance(grounding, Mapping):
            self._queries.update(query for query in _list(grounding.get("webSearchQueries")) if isinstance(query, str))
            self._grounded = self._grounded or bool(self._queries)
            sources += _grounded(grounding)
        return [_written(*source, text) for source in sources if self._is_new(source)]

    def searches(self, model: str) -> int:
        """Return the searches that are billed: each query since Gemini 3, before that one for a grounded answer."""
        return len(self._queries) if models.generation(model) >= models.THREE else int(self._grounded)

    def _is_new(self, source: tuple[str, str, int, int]) -> bool:
        url, _, start, end = source
        if (url, start, end) in self._known:
            return False
        self._known.add((url, start, end))
        return True


def _cited(metadata: Any) -> Iterator[tuple[str, str, int, int]]:
    """Yield url, title and the range in bytes. Vertex names the list otherwise."""
    if not isinstance(metadata, Mapping):
        return
    for source in _list(metadata.get("citationSources") or metadata.get("citations")):
        if isinstance(source, Mapping) and isinstance(url := source.get("uri"), str) and url:
            yield url, _title(source, url), *_range(source)


def _grounded(grounding: Mapping[str, Any]) -> Iterator[tuple[str, str, int, int]]:
    chunks = _list(grounding.get("groundingChunks"))
    for support in _list(grounding.get("groundingSupports")):
        segment = support.get("segment") if isinstance(support, Mapping) else None
        if not isinstance(segment, Mapping):
            continue
        for index in _list(support.get("groundingChunkIndices")):
            place = integer(index)
            if place is None or not 0 <= place < len(chunks) or not isinstance(chunks[place], Mapping):
                continue
            page = chunks[place].get("web")
            if isinstance(page, Mapping) and isinstance(url := page.get("uri"), str) and url:
                yield url, _title(page, url), *_range(segment)


def _written(url: str, title: str, start: int, end: int, text: bytearray) -> dict[str, Any]:
    citation = {
        "url": url,
        "title": title,
        "start_index": _characters(text, start),
        "end_index": _characters(text, end),
    }
    return {"type": "url_citation", "url_citation": citation}


def _characters(text: bytearray, count: int) -> int:
    return len(text[:count].decode("utf-8", "ignore"))


def _title(source: Mapping[str, Any], url: str) -> str:
    title = source.get("title")
    return title if isinstance(title, str) and title else url


def _range(source: Mapping[str, Any]) -> tuple[int, int]:
    start, end = integer(source.get("startIndex")) or 0, integer(source.get("endIndex")) or 0
    return max(start, 0), max(end, 0)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
