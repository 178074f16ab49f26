"""How Replicate's models are asked, by family: each has its own names for parameters and files."""

from collections.abc import Mapping, Sequence
from dataclasses import field

from domain.media import Kind, MediaInput, MediaRequest
from domain.records import record
from providers import media_fields
from providers.media_fields import SAME_NAMES, Dialect, Fields, ModelFamily


@record
class Family(ModelFamily):
    files: Mapping[str, str] = field(default_factory=dict)
    """The fields of input files, by role. One that ends in `[]` takes a list."""

    def written(self, request: MediaRequest, inputs: Sequence[MediaInput]) -> Fields:
        """Return what goes as `input`."""
        return self.dialect.fields(request) | media_fields.files(inputs, self.files)


_WITH_STEPS = SAME_NAMES | {"guidance": "guidance_scale", "steps": "num_inference_steps"}
_FIRST_FRAME = {"image": "image", "first_frame": "image"}
FAMILIES = (
    Family(
        "black-forest-labs/flux-schnell",
        Dialect(count="num_outputs", size=media_fields.as_ratio, names=SAME_NAMES | {"steps": "num_inference_steps"}),
    ),
    Family(
        "black-forest-labs/flux-dev",
        Dialect(
            count="num_outputs",
            size=media_fields.as_ratio,
            names=SAME_NAMES | {"guidance": "guidance", "steps": "num_inference_steps"},
        ),
        {"image": "image"},
    ),
    Family("black-forest-labs/flux-", Dialect(size=media_fields.as_custom), {"image": "image_prompt"}),
    Family(
        "google/nano-banana",
        Dialect(size=media_fields.as_ratio_and_k),
        {"image": "image_input[]", "reference": "image_input[]"},
    ),
    Family(
        "google/veo",
        Dialect(size=media_fields.as_ratio_and_lines, seconds=("duration", "")),
        _FIRST_FRAME | {"last_frame": "last_frame", "reference": "reference_images[]"},
    ),
)
_OTHERS = {
    Kind.IMAGE: Family(
        "",
        Dialect(count="num_outputs", size=media_fields.as_sides, names=_WITH_STEPS),
        {"image": "image", "mask": "mask"},
    ),
    Kind.VIDEO: Family(
        "",
        Dialect(size=media_fields.as_ratio_and_lines, seconds=("duration", "")),
        _FIRST_FRAME | {"last_frame": "last_frame"},
    ),
    Kind.SPEECH: Family("", Dialect(text="text", names=media_fields.same("voice", "speed", "language", "seed"))),
}
"""Models of no family above, by what they make."""


def of(request: MediaRequest) -> Family:
    return media_fields.family_of(request, FAMILIES, _OTHERS)
