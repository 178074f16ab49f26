"""Pages for what went wrong."""

import re
from http import HTTPStatus

import pytest
from starlette.requests import Request

from db.writer import _UNAVAILABLE as UNAVAILABLE
from web import faults, templating
from web.faults import Problem

OURS = "Something broke on our side."
ANSWERED = [status for status in HTTPStatus if status >= 400]


def shown(problem: Problem, path: str = "/keys/new", method: str = "GET") -> str:
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    return bytes(faults.page(problem, Request(scope)).body).decode()


@pytest.mark.parametrize("status", ANSWERED, ids=str)
def test_we_take_the_blame_for_our_own_faults_only(status: int) -> None:
    page = shown(Problem(status, "The name is taken.", request_id="req_1"))
    ours = status >= 500 and status != 503
    assert (OURS in page, "req_1" in page) == (ours, ours)
    assert page.count("<h1>") == 1


@pytest.mark.parametrize("status", [400, 402, 409, 422, 429])
def test_what_is_wrong_with_a_request_stands_on_its_page(status: int) -> None:
    page = shown(Problem(status, "This <key> was sent with another request."))
    assert "This &lt;key&gt; was sent with another request." in page


def test_a_fault_of_ours_says_nothing_of_what_it_was() -> None:
    assert "secret" not in shown(Problem(500, "secret"))


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 422, 429])
def test_a_request_that_was_not_done_leads_back_to_its_page(status: int) -> None:
    assert 'href="/keys">Keys</a>' in shown(Problem(status), method="POST")


def test_a_page_that_is_loaded_again_by_itself_says_when() -> None:
    assert "in 1 second." in shown(Problem(429, "", "1"))
    assert "in 14 seconds." in shown(Problem(429, "", "14"))
    assert "in 5 seconds." in shown(Problem(503, "", "1"))


def test_what_is_away_is_our_books_or_what_the_api_says() -> None:
    assert "We cannot reach our books" in shown(Problem(503))
    for message in (UNAVAILABLE, "The database is away for the moment. Try again."):
        assert "We cannot reach our books" in shown(Problem(503, message))
    page = shown(Problem(503, "Too many large requests are under way here.", "2"))
    assert "We cannot reach our books" not in page
    assert "Too many large requests are under way here." in page


def test_each_place_of_the_sidebar_is_among_those_that_are_offered() -> None:
    sidebar = re.findall(r'place\("([^"]+)"', (templating.FOLDER / "frame.html").read_text("utf-8"))
    assert sidebar
    offered = tuple(faults._PLACES)
    missing = [place for place in sidebar if not any(one.startswith(place) for one in offered)]
    assert missing == [], "give them words in _PLACES of web/faults.py"
