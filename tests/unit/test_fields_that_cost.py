"""Vendors' own names for a paid search are refused like `web_search_options`: the catalog does not price them."""

from typing import Any

import pytest

from api.wire import chat as wire
from domain.errors import RequestInvalid


@pytest.mark.parametrize(
    "field", [{"search_parameters": {"mode": "on"}}, {"enable_search": True}, {"search_settings": {"x": 1}}], ids=list
)
def test_a_paid_search_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(RequestInvalid):
        wire.parse({"model": "m", "messages": [{"role": "user", "content": "x"}], **field})
