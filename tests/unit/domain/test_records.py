"""Values that mypy keeps from being changed, and that are cheap to make."""

from dataclasses import field, replace

import pytest

from domain.records import record


@record
class Point:
    x: int
    y: int = 0
    names: tuple[str, ...] = field(default=(), repr=False)


def test_records_are_compared_and_hashed_by_value() -> None:
    assert Point(1, 2) == Point(1, y=2)
    assert {Point(1, 2), Point(1, 2), Point(2, 1)} == {Point(2, 1), Point(1, 2)}
    assert replace(Point(1, 2), y=3) == Point(1, 3)
    assert repr(Point(1, 2, ("secret",))) == "Point(x=1, y=2)"


def test_a_record_has_no_other_fields() -> None:
    with pytest.raises(AttributeError):
        Point(1).z = 3  # type: ignore[attr-defined]


def test_a_type_checker_refuses_a_change() -> None:
    """mypy fails this file when an ignored line is no error any more."""
    point = Point(1)
    point.x = 2  # type: ignore[misc]
    assert point == Point(2)
