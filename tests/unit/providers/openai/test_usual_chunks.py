"""Most chunks are read in one step, and most reports in one look: the long way makes the same of them."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import GatewayError
from providers.base import ChatCall, Delta, ProviderEvent
from providers.openai import usage
from providers.openai.decoder import OpenAIDecoder
from tests.support.doubles.openai_streams import SSE, USAGE, call, chunk, decoded, reports, stream


class LongWay(OpenAIDecoder):
    """Looks at each chunk closely."""

    def _common(self, chunk: dict[str, Any]) -> Delta | None:
        return None


def read(decoder: OpenAIDecoder, parts: Iterable[bytes]) -> tuple[list[Any], str | None]:
    events: list[ProviderEvent] = []
    try:
        events.extend(decoder.begin(SSE))
        for part in parts:
            for event in decoder.feed(part):
                events.append(event)  # noqa: PERF402  # what came before a fault stays
        events.extend(decoder.eof())
    except GatewayError as failure:
        return [shown(event) for event in events], type(failure).__name__
    return [shown(event) for event in events], None


def shown(event: ProviderEvent) -> Any:
    """A choice without log probabilities may say so or not."""
    if not isinstance(event, Delta):
        return event
    choices = [{n: v for n, v in each.items() if (n, v) != ("logprobs", None)} for each in event.chunk["choices"]]
    return {**event.chunk, "choices": choices}, event.text, event.finished


TEXTS = st.one_of(
    st.text(max_size=6), st.sampled_from(["", "a", "\ud83d", "\ude00", "\ud83d\ude00", "a\ud83d", '"\\\n', "x" * 5000])
)
CALLS = st.fixed_dictionaries(
    {"function": st.fixed_dictionaries({}, optional={"name": TEXTS, "arguments": TEXTS})},
    optional={"index": st.sampled_from([0, 1, None]), "id": st.sampled_from(["c1", None]), "type": st.just("function")},
)
DELTAS: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"content": TEXTS}),
    st.fixed_dictionaries(
        {},
        optional={
            "content": st.one_of(TEXTS, st.none(), st.just([{"type": "text", "text": "a"}]), st.just(7)),
            "role": st.sampled_from(["assistant", None]),
            "reasoning": TEXTS,
            "reasoning_content": TEXTS,
            "refusal": st.none() | TEXTS,
            "tool_calls": st.lists(CALLS, max_size=2) | st.none(),
            "other": st.sampled_from([None, 1, "x", {}]),
        },
    ),
    st.sampled_from([None, {}, "text", []]),
)
LOGPROBS: st.SearchStrategy[Any] = st.sampled_from([None, {}, {"content": [{"token": "a", "logprob": -1.0}]}, [], "x"])
CHOICES = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 0, 0, 1, 2, None, True, "0", 0.0, -1, 10**30]), "delta": DELTAS},
    optional={
        "finish_reason": st.sampled_from([None, None, None, "stop", "", "null", "length", "eos", "error", 0]),
        "logprobs": LOGPROBS,
        "native_finish_reason": st.sampled_from([None, "STOP"]),
        "stop_reason": st.sampled_from([None, 5]),
        "token_ids": st.sampled_from([None, [1, 2]]),
        "message": st.sampled_from([None, {"content": "m"}]),
        "text": st.sampled_from(["", "t"]),
        "error": st.sampled_from([None, {}, {"message": "m"}]),
        "vendor": st.sampled_from([None, float("nan"), "v"]),
    },
)
REPORTS = st.fixed_dictionaries(
    {"prompt_tokens": st.integers(0, 9), "completion_tokens": st.integers(0, 9)},
    optional={"total_tokens": st.integers(0, 99), "service_tier": st.sampled_from(["flex", None])},
)
CHUNKS = st.fixed_dictionaries(
    {"choices": st.lists(CHOICES, min_size=1, max_size=2) | st.lists(CHOICES, max_size=1) | st.none()},
    optional={
        "id": st.sampled_from(["c-1", None]),
        "usage": st.one_of(st.none(), REPORTS, st.sampled_from([{}, [], 0, "x"])),
        "error": st.sampled_from([None, None, {}, "", "broken", {"message": "m"}, 0, False]),
        "service_tier": st.sampled_from(["flex", "priority", None, 5]),
        "system_fingerprint": TEXTS | st.none(),
        "obfuscation": TEXTS,
        "citations": st.just(["u"]),
        "code": st.sampled_from([None, 500]),
        "x": st.sampled_from([1, 10**20, float("inf")]),
    },
)
CONTENT = chunk({"content": "word "})
BESIDE = st.fixed_dictionaries(
    {},
    optional={
        "service_tier": st.sampled_from(["flex", "priority", None, 5]),
        "usage": st.sampled_from([None, {}, USAGE, 0]),
        "error": st.sampled_from([None, "", {}]),
        "citations": st.just(["u"]),
        "x": st.just(10**20),
    },
)
OPENING = chunk({"role": "assistant", "content": ""})
SPOKEN = st.builds(lambda text, beside: chunk({"content": text}) | beside, TEXTS, BESIDE)
LAST = st.sampled_from([chunk({}, "stop"), {"choices": [], "usage": USAGE}])


def event(value: dict[str, Any], spaces: bool) -> bytes:
    written = json.dumps(value, separators=(", ", ": ") if spaces else (",", ":"))
    return b"data: %b\n\n" % written.encode()


@given(
    first=st.just(OPENING) | CHUNKS,
    chunks=st.lists(SPOKEN | SPOKEN | LAST | CHUNKS, max_size=8),
    choices=st.integers(1, 2),
    written=st.tuples(st.booleans(), st.booleans()),
    cut=st.integers(0, 400),
)
def test_a_usual_chunk_is_what_the_long_way_makes_of_it(
    first: dict[str, Any], chunks: list[dict[str, Any]], choices: int, written: tuple[bool, bool], cut: int
) -> None:
    spaces, done = written
    parts = [event(value, spaces) for value in (first, *chunks)] + [b"data: [DONE]\n\n"] * done
    whole = b"".join(parts)
    of: ChatCall = call(choices)
    expected = read(LongWay(of), [whole])
    assert read(OpenAIDecoder(of), parts) == expected
    assert read(OpenAIDecoder(of), [whole]) == expected
    assert read(OpenAIDecoder(of), [whole[:cut], whole[cut:]]) == expected


@pytest.mark.parametrize(
    "written",
    [
        b'{"choices":[{"index":0,"delta":{"content":"a","content":"b"},"finish_reason":null}]}',
        b'{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop","finish_reason":null}]}',
        b'{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null,"finish_reason":"stop"}]}',
        b'{"choices":[{"index":0,"delta":{"content":"a"},"delta":{"refusal":"b"},"finish_reason":null}]}',
        b'{"choices":[],"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}',
        b'{"choices":[{"finish_reason":null,"delta":{"content":"a"},"index":0,"index":1}],"usage":null}',
        b'{"usage":{"prompt_tokens":1,"completion_tokens":2},"choices":[{"index":0,"delta":{"content":"a"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"\\ud83d"},"finish_reason":null}]}',
        b'{"choices":[{"index":0,"delta":{"content":"\xff"},"finish_reason":null}]}',
        b'{"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}' % (b"x" * 1_100_000),
        b'{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"x":%b1%b}' % (b"[" * 300, b"]" * 300),
    ],
    ids=lambda written: written[:60],
)
def test_an_unusual_chunk_among_usual_ones(written: bytes) -> None:
    chunks = [event(chunk({"role": "assistant", "content": ""}), False), event(CONTENT, False)]
    parts = [*chunks, b"data: %b\n\n" % written, event(CONTENT, False), event(chunk({}, "stop"), True)]
    assert read(OpenAIDecoder(call()), parts) == read(LongWay(call()), parts)


def test_the_service_tier_of_a_usual_chunk_is_that_of_the_report() -> None:
    """It says at which prices the call is charged, and may stand beside the content alone."""
    reported = [chunk({"role": "assistant"}), CONTENT | {"service_tier": "priority"}, chunk({}, "stop")]
    events, failure = decoded([stream(*reported, {"choices": [], "usage": USAGE})])
    assert failure is None
    assert [report.usage.service_tier for report in reports(events)] == ["priority"]


COUNTS = st.sampled_from([None, -1, 0, 3, 40, 900, 5.0, "7", 10**12, True])
DETAILS = st.none() | st.dictionaries(
    st.sampled_from([*usage._CACHED, *usage._WRITTEN, "audio_tokens", "image_tokens", "reasoning_tokens"]), COUNTS
)
CREATION = st.none() | st.dictionaries(
    st.sampled_from(["ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens"]), COUNTS
)
_DETAIL_NAMES = (*usage._INPUT_DETAILS, *usage._OUTPUT_DETAILS)
WHOLES = ("prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens")
PARTS = (*usage._CACHED, *usage._WRITTEN, *usage._SEARCHES, "reasoning_tokens", "audio_tokens")


@given(
    wholes=st.just({"prompt_tokens": 40, "completion_tokens": 3}) | st.dictionaries(st.sampled_from(WHOLES), COUNTS),
    parts=st.just({}) | st.dictionaries(st.sampled_from(PARTS), COUNTS, max_size=2),
    details=st.just({}) | st.dictionaries(st.sampled_from(_DETAIL_NAMES), DETAILS, max_size=2),
    creation=st.just({}) | st.dictionaries(st.sampled_from(usage._CREATION), CREATION, max_size=1),
)
@example(
    wholes={"prompt_tokens": 40, "completion_tokens": 3},
    parts={},
    details={},
    creation={"cache_creation_token_details": {"ephemeral_1h_input_tokens": 30}},
)
def test_a_report_of_the_wholes_alone_is_read_as_any_other(
    wholes: dict[str, Any], parts: dict[str, Any], details: dict[str, Any], creation: dict[str, Any]
) -> None:
    reported = wholes | parts | details | creation
    looked_at = usage.of_report(reported | {"reasoning_tokens": reported.get("reasoning_tokens")})
    assert usage.of_report(reported) == looked_at
