"""Turns Anthropic's citations into annotations: OpenAI's `url_citation` for the web, `file_citation` for documents."""

from collections.abc import Mapping
from typing import Any

_OF_A_DOCUMENT = (
    *("cited_text", "document_index", "document_title", "file_id", "search_result_index", "source", "title"),
    *("start_char_index", "end_char_index", "start_page_number", "end_page_number"),
    *("start_block_index", "end_block_index"),
)


def annotation(citation: Mapping[str, Any], start: int) -> dict[str, Any]:
    """`start` is where the text that it supports begins in the answer. `placed` adds where that text ends."""
    url = citation.get("url")
    if isinstance(url, str):
        title = citation.get("title")
        within = {"url": url, "title": title if isinstance(title, str) else "", "start_index": start}
        return {"type": "url_citation", "url_citation": within}
    known = {name: citation[name] for name in _OF_A_DOCUMENT if isinstance(citation.get(name), str | int)}
    return {"type": "file_citation", "file_citation": {**known, "start_index": start}}


def placed(annotation: Mapping[str, Any], end: int) -> dict[str, Any]:
    kind = annotation["type"]
    return {"type": kind, kind: {**annotation[kind], "end_index": end}}
