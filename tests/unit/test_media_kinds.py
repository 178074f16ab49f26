"""A kind of media is the same everywhere: whoever adds one learns here what it lacks."""

from collections.abc import Collection

import pytest

import web.models
from activities.outputs import FAMILIES
from api.media import BODIES
from api.wire.models import ENDPOINTS, OUTPUT_MODALITIES
from catalog.media_parameters import TEXTS, default_schema
from domain.catalog import Modality
from domain.media import DEADLINES, Kind
from providers.demo.order import READY_AFTER
from web import media_form, receipts, shown_jobs, studio

MEDIA = {modality for modality in Modality if not modality.priced_by_tokens}
TRANSCRIPTION = {Kind.TRANSCRIPTION}
"""It makes text, and Studio makes none."""


def test_a_modality_of_media_is_a_kind_of_job() -> None:
    assert {modality.value for modality in MEDIA} == {kind.value for kind in Kind}


@pytest.mark.parametrize(
    ("known", "but"),
    [
        pytest.param(DEADLINES, set(), id="deadline"),
        pytest.param(BODIES, set(), id="body of its endpoint"),
        pytest.param(FAMILIES, TRANSCRIPTION, id="content types"),
        pytest.param(READY_AFTER, set(), id="demo"),
        pytest.param(shown_jobs._NOUNS, set(), id="noun of a job"),
        pytest.param(receipts._WORKS, set(), id="noun of a charge"),
        pytest.param(web.models._CALLS, TRANSCRIPTION, id="example of a call"),
        pytest.param(web.models.TRIED_AT, TRANSCRIPTION, id="page that tries it"),
        pytest.param(studio.KINDS, TRANSCRIPTION, id="form in Studio"),
        pytest.param(studio.EXAMPLES, TRANSCRIPTION, id="examples in Studio"),
        pytest.param(media_form.TEXTS, TRANSCRIPTION, id="text of the form in Studio"),
    ],
)
def test_each_kind_has_its(known: Collection[str], but: set[Kind]) -> None:
    assert [kind for kind in Kind if kind not in known] == list(but)


def test_each_modality_has_its_names_and_endpoints() -> None:
    assert set(OUTPUT_MODALITIES) == set(ENDPOINTS) == set(web.models.KINDS) == set(Modality)


@pytest.mark.parametrize("modality", sorted(MEDIA))
def test_each_modality_of_media_has_parameters(modality: Modality) -> None:
    assert default_schema(modality).text_name == TEXTS[modality][0]


@pytest.mark.parametrize("kind", sorted(studio.KINDS))
def test_studio_asks_for_the_text_by_the_name_of_the_api(kind: str) -> None:
    assert media_form.TEXTS[kind] == TEXTS[Modality(kind)][0]
