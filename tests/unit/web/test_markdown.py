"""A shared page shows whatever was shared, and does nothing else: asserted on what a parser makes of it."""

from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from domain.shares import SharedMessage
from tests.support.hostile_markdown import DOCUMENTS
from web import code
from web.budget import Budget
from web.document import Page as SharedPage
from web.document import document
from web.markdown import ALLOWED_CLASSES, REL, TAGS, rendered

ATTRIBUTES = {
    "a": {"href", "rel"},
    "ol": {"start"},
    "pre": {"tabindex", "role", "aria-label"},
    "div": {"class", "tabindex"},
    **{tag: {"class"} for tag in ("p", "span", "th", "td")},
}
VOID = {"br", "hr", "meta", "link"}
MAX_PAGE = 2_500_000
MAX_DEPTH = 80


class Page(HTMLParser):
    """The elements of a page, with their attributes and depth, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.depth, self.deepest, self.odd = "", 0, 0, list[str]()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        self.depth += tag not in VOID
        self.deepest = max(self.deepest, self.depth)

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    def handle_pi(self, data: str) -> None:
        self.odd.append(data)

    def unknown_decl(self, data: str) -> None:
        self.odd.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(*messages: SharedMessage, title: str | None = None) -> str:
    return document(SharedPage(title, datetime(2026, 6, 28, tzinfo=UTC), messages))


def assert_inert(html: str) -> Page:
    """Only listed elements, attributes, classes and addresses: as a parser sees them."""
    page = Page(html)
    assert not page.odd
    assert page.depth == 0
    assert page.deepest < MAX_DEPTH
    for tag, attributes in page.elements:
        assert tag in TAGS, tag
        assert attributes.keys() <= ATTRIBUTES.get(tag, set()), (tag, attributes)
        assert set((attributes.get("class") or "").split()) <= ALLOWED_CLASSES.get(tag, set())
        if tag == "a":
            assert attributes["rel"] == REL
            address = attributes.get("href")
            assert address is not None
            assert urlsplit(address).scheme in {"http", "https", "mailto"}, address
            assert address.isprintable()
    return page


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_document_only_is_shown(name: str) -> None:
    budget = Budget()
    html = rendered(DOCUMENTS[name], budget)
    assert_inert(html)
    assert len(html) < MAX_PAGE
    assert min(budget.characters, budget.tokens, budget.brackets, budget.links, budget.code) >= 0
    html.encode()  # no lone surrogate is left


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_page_around_it_stays_whole(name: str) -> None:
    """In a question, an answer and a title, and as the name of a model."""
    plain = page_of(SharedMessage("user", "a"), SharedMessage("assistant", "b", "c"), title="d")
    text = DOCUMENTS[name]
    short = text[:200]
    hostile = page_of(SharedMessage("user", text), SharedMessage("assistant", text, short), title=short)
    ours = [element for element in Page(plain).elements if element[0] not in TAGS]
    assert [element for element in Page(hostile).elements if element[0] not in TAGS] == ours
    assert len(Page(hostile).all("h1")) == 1
    assert [one["id"] for _, one in Page(hostile).elements if "id" in one] == ["content", "end", "i-yout", "i-shield"]


def test_what_is_ordinary_is_shown_as_it_was_meant() -> None:
    text = "# A\n\n**b** *c* `d` [e](https://e.test/x?a=1&b=2)\n\n- f\n\n| g | h |\n|---|--:|\n| i | j |\n\n> k\n\n"
    text += "```py\nx = 1\n```"
    page = assert_inert(rendered(text, Budget()))
    assert Counter(tag for tag, _ in page.elements) >= Counter(
        ["h3", "strong", "em", "code", "a", "ul", "li", "table", "th", "td", "blockquote", "pre", "span"]
    )
    assert page.all("a") == [{"href": "https://e.test/x?a=1&b=2", "rel": REL}]
    assert page.all("td")[1] == {"class": "end"}
    assert page.all("span")[0] == {"class": "c-n"}


def test_headings_stand_under_the_pages_own() -> None:
    html = rendered("\n\n".join("#" * level + " a" for level in range(1, 7)), Budget())
    assert [tag for tag, _ in Page(html).elements] == ["h3", "h4", "h5", "h6", "h6", "h6"]
    page = Page(page_of(SharedMessage("user", "# a"), SharedMessage("assistant", "# b", "M"), title="T"))
    assert [tag for tag, _ in page.elements if tag in {"h1", "h2", "h3"}] == ["h1", "h2", "h3", "h2", "h3"]


def test_lines_of_a_question_and_of_an_answer_stay_lines() -> None:
    verse = "The job sleeps, the night\ntakes the server and the lamp."
    page = Page(page_of(SharedMessage("user", verse), SharedMessage("assistant", verse, "M")))
    assert [tag for tag, _ in page.elements].count("br") == 2


def test_an_image_is_a_link_and_bytes_are_not_shown() -> None:
    html = rendered("![a *b*](https://e.test/i.png) ![](https://e.test/j.png) ![c](data:image/png;base64,AA)", Budget())
    page = assert_inert(html)
    assert [link["href"] for link in page.all("a")] == ["https://e.test/i.png", "https://e.test/j.png"]
    assert "Image: a b" in page.text
    assert "img" not in {tag for tag, _ in page.elements}
    shown = Page(page_of(SharedMessage("user", "", images=("https://e.test/k.png",), omitted=2)))
    assert "https://e.test/k.png" in [link.get("href") for link in shown.all("a")]
    assert "2 parts that are no text" in shown.text
    assert shown.all("img") == []


def test_the_reading_order_cannot_be_turned_around_unseen() -> None:
    assert Page(rendered("a\u202eb `c\u2066d`", Budget())).text.split() == ["a[U+202E]b", "c[U+2066]d"]


@pytest.mark.parametrize("name", ["table bomb", "many table bombs", "nested images", "one megabyte"])
def test_what_is_too_much_is_shown_as_plain_text(name: str) -> None:
    page = assert_inert(rendered(DOCUMENTS[name], Budget()))
    assert page.elements == [("p", {"class": "plain"})]
    assert page.text == DOCUMENTS[name]


def test_a_page_has_one_budget_for_all_its_messages() -> None:
    budget = Budget(characters=10)
    assert "<strong>" in rendered("**a**", budget)
    assert "<strong>" in rendered("**b**", budget)
    assert rendered("**c**", budget) == '<p class="plain">**c**</p>'


def test_an_address_that_is_repeated_too_often_is_no_link_any_more() -> None:
    page = assert_inert(rendered("[x]: https://e.test/aaaa 'title'\n\n" + "[x] " * 5, Budget(links=50)))
    assert len(page.all("a")) == 2
    assert page.text.split() == ["x"] * 5


def test_code_is_whole_when_its_time_is_over() -> None:
    """The rest has no colours."""
    ticks = iter(range(1000))
    source = "a = 1\n" * 50
    budget = Budget(seconds=20, clock=lambda: float(next(ticks)))
    page = Page(code.highlighted(source, "python", budget))
    assert page.text == source
    assert 0 < len(page.all("span")) < 50
    assert budget.seconds <= 0
    assert Page(code.highlighted(source, "python", budget)).all("span") == []


@pytest.mark.parametrize("language", sorted(set(code.LEXERS.values())))
def test_every_lexer_loses_nothing(language: str) -> None:
    source = "<a b='c'> /* d */ # e\n\n\"f\\\"\n{ 1.5: `g` }\t\n" + "\u20ac\n  x => {{ y }}\n"
    page = Page(code.highlighted(source, language, Budget()))
    assert page.text == source
    assert {name for one in page.all("span") for name in str(one["class"]).split()} <= code.CLASSES


def test_the_page_says_nothing_of_its_owner_and_nothing_to_a_preview() -> None:
    html = page_of(SharedMessage("assistant", "a", "M"), title="T")
    page = Page(html)
    assert {meta.get("name") for meta in page.all("meta")} == {None, "viewport", "color-scheme", "robots", "referrer"}
    assert all("property" not in meta for meta in page.all("meta"))
    assert {"script", "img", "form", "iframe", "style"}.isdisjoint({tag for tag, _ in page.elements})
    assert not [attributes for _, attributes in page.elements if "style" in attributes]
    assert [tag for tag in ("main", "header", "article", "aside", "title") if not page.all(tag)] == []
