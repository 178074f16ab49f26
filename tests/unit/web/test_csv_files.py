"""Cells of CSV files: no text of anybody is computed by a spreadsheet."""

import pytest

from web.csv_files import harmless, line


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=1", "  =1", "=cmd|' /C calc'!A0", "\uff1d1+1", "\uff20SUM(A1)"]
)
def test_what_a_spreadsheet_would_compute_is_text(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["gpt", "a=b", "", 438, -438, None])
def test_everything_else_stays(cell: str | int | None) -> None:
    assert harmless(cell) == cell


def test_a_line_is_quoted_and_nothing_is_an_empty_cell() -> None:
    assert line(['a "b", c', -7, None, "=1\n2"]) == '"a ""b"", c",-7,,"\'=1\n2"\r\n'
