"""What an answer of Gemini's becomes, beyond what every adapter must do."""

import json
from typing import Any

import pytest

from domain.errors import RequestInvalid, UpstreamBusy, UpstreamError
from providers.base import ChatCall, Delta, Report, WholeAnswer
from providers.gemini import choices
from providers.gemini.decoder import GeminiDecoder
from tests.support import gemini_answers as wire
from tests.support.gemini_answers import events, function, report, response, text
from tests.unit.providers.gemini.test_request import adapter

SOURCES = [{"web": {"uri": "https://a.test", "title": "A"}}, {"web": {"uri": "https://b.test"}}, {"maps": {}}]
SUPPORTS = [
    {"segment": {"startIndex": 3, "endIndex": 6}, "groundingChunkIndices": [0, 1]},
    {"segment": {"endIndex": 3}, "groundingChunkIndices": [2, 9]},
    {"groundingChunkIndices": [0]},
]
GROUNDING = {"groundingChunks": SOURCES, "groundingSupports": SUPPORTS, "webSearchQueries": ["q", "r", "q"]}


def answer(*parts: Any, model: str = "gemini-3.8-flash", finish: str = "STOP", **candidate: Any) -> WholeAnswer:
    body = response(*parts, finish=finish, usageMetadata=report())
    body["candidates"][0] |= candidate
    call = ChatCall(model, {"messages": [], "web_search_options": {}}, 50)
    return adapter().answer(call, json.dumps(body).encode())


def message(*parts: Any, **fields: Any) -> dict[str, Any]:
    (choice,) = answer(*parts, **fields).body["choices"]
    return dict(choice["message"])


def test_a_signature_can_be_sent_back() -> None:
    calls = message(text("hm", thought=True), text("a"), function("f", thoughtSignature="s"), function("g"))
    first, second = calls["tool_calls"]
    assert first["id"] != second["id"]
    assert calls["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "s", "format": "google-gemini-v1", "index": 0, "id": first["id"]}
    ]
    assert first["extra_content"] == {"google": {"thought_signature": "s"}}
    assert (calls["reasoning_content"], calls["content"], "extra_content" in second) == ("hm", "a", False)


def test_an_id_of_the_provider_stays() -> None:
    assert message(function("f", call_id="call-7"))["tool_calls"][0]["id"] == "call-7"


def test_images_come_beside_the_text_and_those_of_thoughts_do_not() -> None:
    images = message(text("a"), wire.IMAGE, wire.IMAGE | {"thought": True})["images"]
    assert images == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]


def test_sources_are_annotations_in_characters() -> None:
    """Gemini counts bytes: the two letters before the segment have three."""
    first, second = (
        each["url_citation"] for each in message(text("éa xyz"), groundingMetadata=GROUNDING)["annotations"]
    )
    assert first == {"url": "https://a.test", "title": "A", "start_index": 2, "end_index": 5}
    assert (second["url"], second["title"]) == ("https://b.test", "https://b.test")


@pytest.mark.parametrize(("model", "searches"), [("gemini-3.8-flash", 2), ("gemini-2.5-flash", 1)])
def test_searches_are_billed_by_query_since_gemini_3(model: str, searches: int) -> None:
    usage = answer(text("a"), model=model, groundingMetadata=GROUNDING).usage
    assert usage is not None
    assert usage.web_searches == searches


def test_an_answer_that_searched_nothing_says_so() -> None:
    usage = answer(text("a")).usage
    assert usage is not None
    assert usage.web_searches == 0


@pytest.mark.parametrize(
    "metadata", [{"citationSources": [{"uri": "https://c.test"}]}, {"citations": [{"uri": "https://c.test"}]}]
)
def test_citations_are_annotations(metadata: dict[str, Any]) -> None:
    (source,) = message(text("a"), citationMetadata=metadata)["annotations"]
    assert source["url_citation"]["url"] == "https://c.test"


def test_logprobs() -> None:
    chosen = [{"token": "a", "tokenId": 1, "logProbability": -0.5}]
    top = [{"candidates": [*chosen, {"token": "é", "logProbability": -2}]}]
    (choice,) = answer(text("a"), logprobsResult={"chosenCandidates": chosen, "topCandidates": top}).body["choices"]
    (token,) = choice["logprobs"]["content"]
    assert (token["token"], token["logprob"], token["bytes"]) == ("a", -0.5, [97])
    assert [(each["token"], each["bytes"]) for each in token["top_logprobs"]] == [("a", [97]), ("é", [195, 169])]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("CONTINUATION", "length"), ("NEW_REASON", "stop")]
    + [(reason, "content_filter") for reason in sorted(choices.FILTERED)],
)
def test_finish_reasons(reason: str, finish: str) -> None:
    assert answer(text("a"), finish=reason).body["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "OTHER", "MISSING_THOUGHT_SIGNATURE", "NO_IMAGE"])
def test_a_failed_generation_is_an_error(reason: str) -> None:
    with pytest.raises(UpstreamError):
        answer(text("a"), finish=reason)


def test_what_is_blocked_has_a_refusal_of_ours() -> None:
    (choice,) = adapter().answer(ChatCall("m", {"messages": []}, 50), wire.ANSWERS["a blocked prompt"]).body["choices"]
    assert (choice["finish_reason"], choice["message"]["refusal"]) == ("content_filter", choices.BLOCKED)
    assert message(text("a"), finish="SAFETY").get("refusal") is None


def test_a_blocked_prompt_ends_every_choice() -> None:
    decoder = GeminiDecoder(ChatCall("m", {"messages": []}, 50, stream=True, choices=2))
    deltas = [each for each in [*decoder.feed(events(wire.BLOCKED)), *decoder.eof()] if isinstance(each, Delta)]
    assert deltas[-1].finished == (0, 1)


def test_what_was_used_is_reported_before_a_failure() -> None:
    decoder = GeminiDecoder(ChatCall("m", {"messages": []}, 50, stream=True))
    last = response(finish="MALFORMED_FUNCTION_CALL", usageMetadata=report(9, 4))
    assert any(isinstance(each, Report) for each in decoder.feed(events(response(text("a")), last)))
    with pytest.raises(UpstreamError):
        list(decoder.eof())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (wire.error(429, "RESOURCE_EXHAUSTED"), UpstreamBusy),
        (wire.error(400, "INVALID_ARGUMENT"), RequestInvalid),
    ],
)
def test_an_error_in_the_stream_is_of_its_own_kind(error: Any, kind: type[Exception]) -> None:
    decoder = GeminiDecoder(ChatCall("m", {"messages": []}, 50, stream=True))
    with pytest.raises(kind):
        list(decoder.feed(events(error)))
