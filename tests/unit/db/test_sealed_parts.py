"""Content in sealed parts: any content comes back, and no part opens anywhere else."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import sealed_parts
from db.data_keys import ContentKey
from domain.sealing import SealBroken

KEY = ContentKey(UUID(int=1), 3, b"k" * 32)
OTHER = ContentKey(UUID(int=1), 4, b"k" * 32)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_parts, "PART_BYTES", 16)


SMALL = st.binary(max_size=100)


@given(content=SMALL)
def test_any_content_comes_back(content: bytes) -> None:
    parts = sealed_parts.seal(KEY, content, name="a")
    assert len(parts) == max(1, -(-len(content) // sealed_parts.PART_BYTES))
    assert sealed_parts.unseal(KEY, parts, name="a") == content


@given(content=st.binary(min_size=17, max_size=100), data=st.data())
def test_parts_open_all_in_their_order_alone(content: bytes, data: st.DataObject) -> None:
    parts = sealed_parts.seal(KEY, content, name="a")
    others = data.draw(st.lists(st.sampled_from(parts), min_size=1, max_size=len(parts) + 2))
    if others != parts:
        with pytest.raises(SealBroken):
            sealed_parts.unseal(KEY, others, name="a")


@given(content=SMALL)
def test_no_part_opens_under_another_name_or_epoch(content: bytes) -> None:
    parts = sealed_parts.seal(KEY, content, name="a")
    for key, name in ((KEY, "b"), (OTHER, "a")):
        with pytest.raises(SealBroken):
            sealed_parts.unseal(key, parts, name=name)
