"""Headers of pages."""

from web import pages


def test_a_page_with_half_a_character_is_a_page() -> None:
    assert pages.live("a \ud800 lake").body == b"a ? lake"


def test_only_pictures_and_films_may_come_from_the_object_store() -> None:
    store = "https://store.example.test"
    before, after = pages.policy("").split("; "), pages.policy(store).split("; ")
    assert pages.policy("") == pages.LIVE
    assert {one for one in after if store in one} == {
        f"img-src 'self' blob: {store}",
        f"media-src 'self' blob: {store}",
    }
    assert [one.replace(f" {store}", "") for one in after] == before
