"""What the adapter of Gemini is tested by: at AI Studio, and at Vertex AI."""

import json

from providers.base import ChatAdapter, UpstreamRequest
from providers.gemini.adapter import GeminiAdapter
from tests.support import gemini_answers
from tests.support.adapter_case import AdapterCases, Stream, provider


def _sent(request: UpstreamRequest) -> tuple[str, int]:
    body = json.loads(request.body)
    return request.url.partition("/models/")[2].partition(":")[0], body["generationConfig"]["maxOutputTokens"]


def _cases(adapter: ChatAdapter) -> AdapterCases:
    streams = {name: Stream(*case) for name, case in gemini_answers.STREAMS.items()}
    both = Stream(gemini_answers.events(gemini_answers.BOTH), "ab", 4, choices=2)
    return AdapterCases(
        adapter,
        {**streams, "two candidates": both},
        gemini_answers.BROKEN,
        gemini_answers.ANSWERS,
        gemini_answers.NO_ANSWERS,
        gemini_answers.ERRORS,
        _sent,
    )


GEMINI_CASES = _cases(GeminiAdapter(provider("gemini"), models="models"))
VERTEX_CASES = _cases(GeminiAdapter(provider("vertex"), key_header="Authorization", models="projects/p/models"))
