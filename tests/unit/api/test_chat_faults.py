"""What becomes of the money of a call whose answer this program cannot write."""

from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest

from api.chat import ChatEndpoint
from api.exchange import Exchange
from api.request_figures import RequestFigures
from api.resources import Resources
from api.wire.base import ClientWire
from domain.pricing import Usage, UsageSource
from gateway import whole_answers
from gateway.wire import Bill, CompletedAnswer
from tests.support.doubles.chat_calls import call


class Ended:
    """Calls that note how each ended."""

    def __init__(self) -> None:
        self.how: list[str] = []

    async def void(self, _: Any) -> None:
        self.how.append("void")

    async def refund(self, _: Any) -> None:
        self.how.append("refund")


def broken(*_: Any) -> Any:
    raise TypeError


@pytest.mark.parametrize(("stream", "how"), [(True, "void"), (False, "refund")])
async def test_an_answer_that_cannot_be_written_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, stream: bool, how: str
) -> None:
    async def answered(*_: Any) -> tuple[CompletedAnswer, Bill]:
        return CompletedAnswer({}, b""), Bill(Usage(1, 1, UsageSource.PROVIDER), 10, 90, 20)

    monkeypatch.setattr(whole_answers, "answer", answered)
    ended, running = Ended(), call()
    running.request = type(running.request)("m", {}, stream=stream)
    endpoint = ChatEndpoint(
        cast(ClientWire, SimpleNamespace(content_type="a/b", whole=broken, writer=broken)), RequestFigures()
    )
    with pytest.raises(TypeError):
        await endpoint._call(cast(Resources, SimpleNamespace(calls=ended)), running, Mock(spec=Exchange))
    assert ended.how == [how]
