"""What API and worker share: for how long a link of the object store works."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest

from wiring import Wired

Presigned = Callable[[str, timedelta], Awaitable[str | None]]


class LinkingStorage:
    async def link(self, key: str, lifetime: timedelta) -> str:
        return f"{key} {lifetime.total_seconds():g}"


def presigned(setting: int) -> Presigned | None:
    settings = SimpleNamespace(presigned_lifetime=timedelta(seconds=setting))
    wired = SimpleNamespace(settings=settings, storage=LinkingStorage())
    return Wired.presigned.fget(wired)  # type: ignore[attr-defined,no-any-return]  # of a property


@pytest.mark.parametrize(
    ("setting", "left", "link"),
    [(300, 3600, "a 300"), (300, 2, "a 2"), (1, 3600, "a 1"), (60, 0, "a 1"), (60, -5, "a 1")],
)
async def test_a_link_works_no_longer_than_the_setting_and_the_output(setting: int, left: int, link: str) -> None:
    link_of = presigned(setting)
    assert link_of is not None
    assert await link_of("a", timedelta(seconds=left)) == link


def test_without_the_setting_there_are_no_links() -> None:
    assert presigned(0) is None
