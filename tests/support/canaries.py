"""Words that no machine would say by itself, and requests with one of them wherever a caller may put one."""

import base64
import os
from collections.abc import Iterator, Mapping
from random import SystemRandom
from typing import Any

LETTERS = "GHJKLMNPQRSTUVWXYZ"
"""No digit and no small letter: no part of a word is in a text, a number or an id, so that nothing compresses it."""


def word() -> str:
    """Without three letters that come twice: PostgreSQL's compression would leave out the second ones."""
    while True:
        letters = "".join(SystemRandom().choices(LETTERS, k=26))
        if len({letters[at : at + 3] for at in range(24)}) == 24:
            return letters


ASKED = word()
"""In all that a caller says."""
NAMED = word()
"""In names of models and of fields, and in paths: an answer may repeat them, nothing else."""
RAW = os.urandom(24)
"""In the bytes of pictures, sounds and files."""
SAVED = word()
"""In all that a caller wants to be saved. It lies there encrypted."""
ERASED = word()
"""In all that a caller saved, and then erased."""
LABEL = word()
"""In names and notes of keys. They are stored in the clear, and shown to who may see the keys."""
PASSWORDS = tuple(f"{word()} long" for _ in range(3))
"""Of a person who signs up: the first, the one that replaces it, and the one of a reset."""
ADDRESS, MOVED = (f"{word().lower()}@example.test" for _ in range(2))
"""Of the same person. They are stored in the database, and shown to nobody else."""
CLIENT = "2001:" + ":".join(os.urandom(2).hex().replace("0", "7") for _ in range(7))
"""The address of a visitor. It is stored nowhere."""
ATTACHED = base64.b64encode(b"\x89PNG\r\n\x1a\n" + RAW + b"IEND").decode()

SPOKEN = [
    {"role": "system", "content": f"system {ASKED}"},
    {"role": "user", "content": f"look up {ASKED}", "name": ASKED},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": f'{{"q": "{ASKED}"}}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": f"found {ASKED}"},
    {"role": "user", "content": [{"type": "text", "text": f"find it again: {ASKED}"}]},
]
SHOWN = {
    "role": "user",
    "content": [
        {"type": "text", "text": f"and these: {ASKED}"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{ATTACHED}"}},
        {"type": "image_url", "image_url": {"url": f"https://pictures.example/{ASKED}.png"}},
        {"type": "input_audio", "input_audio": {"data": ATTACHED, "format": "wav"}},
        {"type": "file", "file": {"filename": f"{ASKED}.pdf", "file_data": f"data:application/pdf;base64,{ATTACHED}"}},
    ],
}
CHAT: Mapping[str, Any] = {
    "messages": SPOKEN,
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "find",
                "description": f"finds {ASKED}",
                "parameters": {"type": "object", "properties": {"q": {"type": "string", "default": ASKED}}},
            },
        }
    ],
    "stop": [f"stop {ASKED}"],
    "user": ASKED,
    "metadata": {"who": ASKED},
    "safety_identifier": ASKED,
    "prompt_cache_key": ASKED,
    "max_tokens": 500,
}
HEADERS = {
    "user-agent": ASKED,
    "referer": f"https://{ASKED}.example/{ASKED}",
    "x-forwarded-for": ASKED,
    "x-request-id": ASKED,
    "traceparent": ASKED,
}
_ASKED = {"model": "demo-transcription", "prompt": ASKED, "language": ASKED}
Misuse = tuple[str, str, dict[str, Any]]
_CHAT, _NATIVE, _IMAGE = "/v1/chat/completions", "/api/chat/stream/", "/api/media/image/"
_OTHERS = ("/v1/messages", "/v1/messages/count_tokens", "/v1/responses", "/v1/completions", "/v1/embeddings")


def misuses() -> Iterator[Misuse]:
    """The caller's words where a parser or a router stumbles over them. Each is answered with a 4xx."""
    for path in (_CHAT, *_OTHERS, _NATIVE, _IMAGE, "/api/chat/keys/", "/api/chat/share/", "/api/billing/quote/"):
        yield "POST", path, {"content": b'{"messages": "' + ASKED.encode()}
        yield "POST", path, {"content": ASKED.encode() * 9}
        yield "POST", path, {"content": b"\xff" + ASKED.encode(), "headers": {"content-type": f"text/{ASKED}"}}
        yield "POST", path, {"json": [ASKED, {NAMED: ASKED}]}
        yield "POST", path, {"json": {"model": NAMED, "messages": ASKED, "name": [ASKED], NAMED: ASKED}}
    for path in _OTHERS:
        foreign = {"x-api-key": f"yout-{ASKED}", "authorization": f"Bearer yout-{ASKED}"}
        yield "POST", path, {"headers": foreign, "json": {"model": "demo-chat", "input": ASKED}}
        yield "POST", path, {"json": {"model": "demo-chat", "input": ASKED, "privacy": ASKED, "prompt": [[ASKED]]}}
    yield "POST", _CHAT, {"content": b" " * 21 * 1024 * 1024 + ASKED.encode()}
    yield "POST", _CHAT, {"json": {**CHAT, "model": NAMED}}
    yield "POST", _CHAT, {"json": {**CHAT, "model": "demo-chat", "temperature": ASKED}}
    yield "POST", _CHAT, {"json": {**CHAT, "model": "demo-chat", "messages": ASKED}}
    yield "POST", _CHAT, {"json": {**CHAT, "model": "demo-chat", "messages": [{"role": ASKED, "content": ASKED}]}}
    yield "POST", _CHAT, {"json": {**CHAT, "model": "demo-chat", "messages": [SHOWN]}}
    yield "POST", _CHAT, {"json": {**CHAT, "model": "demo-chat", "service_tier": ASKED}}
    yield "POST", _NATIVE, {"json": {"model": "demo-chat", "message": {"text": ASKED}}}
    yield "POST", _NATIVE, {"json": {"model": NAMED, "message": ASKED}}
    yield "POST", _IMAGE, {"json": {"model": "demo-image", "prompt": "x", "size": ASKED}}
    yield "POST", _IMAGE, {"json": {"model": "demo-image", "prompt": [ASKED]}}
    yield "POST", _IMAGE, {"json": {"model": "demo-image", "prompt": ASKED, NAMED: ASKED}}
    yield "POST", _IMAGE, {"json": {"model": "demo-image", "prompt": ASKED, "metadata": ASKED}}
    for source in (f"https://{ASKED}.invalid/", f"upload_{ASKED}", f"data:{ASKED},{ASKED}", [ASKED], {ASKED: ASKED}):
        yield "POST", _IMAGE, {"json": {"model": "demo-image", "prompt": ASKED, "image": source}}
        body = {"model": "demo-transcription", "prompt": ASKED, "file": source}
        yield "POST", "/v1/audio/transcriptions", {"json": body}
    for path in ("/api/media/uploads/", "/v1/audio/transcriptions", "/v1/images/edits"):
        yield "POST", path, {"content": ASKED.encode(), "headers": {"content-type": f"multipart/form-data; {ASKED}"}}
        yield "POST", path, {"files": {"file": (f"{ASKED}.wav", ASKED.encode(), f"audio/{ASKED}")}, "data": _ASKED}
        yield "POST", path, {"content": b"<svg>" + ASKED.encode(), "headers": {"content-type": f"audio/{ASKED}"}}
    yield "GET", f"/v1/{NAMED}?prompt={ASKED}", {}
    yield "GET", f"/c/{NAMED}?{NAMED}={ASKED}", {}
    yield "GET", f"/media/{NAMED}?exp=1&sig={ASKED}", {}
    yield "GET", f"/api/billing/statement/?cursor={ASKED}", {}
    yield "GET", f"/api/media/jobs/{NAMED}/", {"headers": {"cookie": f"yout={ASKED}"}}
    bearer = {"authorization": f"Bearer yout-{ASKED}"}
    yield "POST", _CHAT, {"headers": bearer, "json": {**CHAT, "model": "demo-chat"}}
    signed = {"stripe-signature": f"t=1,v1={ASKED}"}
    yield "POST", "/api/billing/stripe/webhook/", {"headers": signed, "json": {"id": ASKED, "data": {"email": ASKED}}}
