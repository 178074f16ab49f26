"""The signals against keeping and training: set last, whatever the request has."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from domain.catalog import Provider
from providers import signals
from providers.base import ChatCall
from providers.openai.adapter import OpenAIAdapter
from providers.registry import KINDS
from providers.signals import NONE, OPENROUTER, STORE, Signal

PROVIDERS = Path(signals.__file__).parent
UNDOING: Mapping[str, Any] = {
    "store": True,
    "provider": {"data_collection": "allow", "zdr": False, "order": ["x"]},
    "privacy": "default",
}


def finished(body: Mapping[str, Any], signal: Signal) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(signals.finished("https://x.invalid", {}, body, signal).body)
    return sent


def test_each_kind_that_chats_has_one() -> None:
    chatting = {name for name, kind in KINDS.items() if kind.chat is not None}
    assert chatting <= signals.OF_KIND.keys(), "say in OF_KIND which signal the vendor of a new kind takes, or NONE"


def test_no_adapter_writes_a_request_without_it() -> None:
    writers = [path.name for path in PROVIDERS.rglob("*.py") if " UpstreamRequest(" in path.read_text()]
    writers.remove("credentials.py")  # it asks for access tokens: nothing of a call is in that
    assert writers == ["signals.py"], "write a request with signals.finished"


@pytest.mark.parametrize(
    ("body", "signal", "sent"),
    [
        ({"a": 1}, NONE, {"a": 1}),
        ({"store": True}, STORE, {"store": False}),
        (
            {"provider": {"zdr": False, "order": ["x"]}},
            OPENROUTER,
            {"provider": {"order": ["x"], **OPENROUTER.body["provider"]}},
        ),
        ({"provider": "any"}, OPENROUTER, dict(OPENROUTER.body)),
    ],
)
def test_it_is_set_over_what_is_there(body: dict[str, Any], signal: Signal, sent: dict[str, Any]) -> None:
    before = json.dumps(body)
    assert finished(body, signal) == sent
    assert json.dumps(body) == before


def test_a_header_of_it_replaces_every_spelling() -> None:
    signal = Signal(headers={"X-Store": "0"})
    request = signals.finished("https://x.invalid", {"x-store": "1", "Accept": "a"}, {}, signal)
    assert request.headers == {"Accept": "a", "X-Store": "0"}


@pytest.mark.parametrize("capabilities", [frozenset[str](), frozenset({"store"})])
@pytest.mark.parametrize("passes", [frozenset[str](), frozenset({"*"}), frozenset({"store", "provider"})])
@pytest.mark.parametrize("kind", ["openai", "openrouter"])
def test_no_field_of_a_caller_undoes_it(kind: str, passes: frozenset[str], capabilities: frozenset[str]) -> None:
    provider = Provider(name="p", kind=kind, active=True, base_url="https://up.invalid", api_key=SecretStr("k"))
    body = {"messages": [{"role": "user", "content": "Hello"}], **UNDOING}
    call = ChatCall("m", body, 50, capabilities, passes)
    sent = json.loads(OpenAIAdapter(provider, openrouter=kind == "openrouter").request(call).body)
    assert sent.get("store") is (False if capabilities else None)
    assert sent.get("provider") == (OPENROUTER.body["provider"] if kind == "openrouter" else None)
    assert "privacy" not in sent
