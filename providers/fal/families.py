"""How fal's models are asked, by family: each has its own names, and other endpoints for requests with files."""

from collections.abc import Mapping, Sequence

from domain.errors import UpstreamRefused
from domain.media import Kind, MediaInput, MediaRequest
from domain.records import record
from providers import media_fields
from providers.media_fields import SAME_NAMES, Dialect, Fields, ModelFamily


@record
class Endpoint:
    """Where requests with certain files go."""

    path: str
    """Below the family's base. Empty: the base itself."""
    files: Mapping[str, str]
    """The fields, by role. One that ends in `[]` takes a list."""
    needs: frozenset[str] = frozenset()
    """One of these roles is there."""

    def takes(self, roles: set[str]) -> bool:
        return roles <= self.files.keys() and (not self.needs or bool(roles & self.needs))


@record
class Family(ModelFamily):
    suffix: str = ""
    """What a model's name ends in for requests without files: it is no part of the base."""
    endpoints: tuple[Endpoint, ...] = ()
    """The first that takes all of a request's files is asked."""

    def written(self, request: MediaRequest, inputs: Sequence[MediaInput]) -> tuple[str, Fields]:
        """Return the endpoint and the arguments."""
        fields = self.dialect.fields(request)
        if not inputs:
            return request.model, fields
        endpoint = self._endpoint({given.role for given in inputs})
        base = request.model.removesuffix(f"/{self.suffix}") if self.suffix else request.model
        path = f"{base}/{endpoint.path}" if endpoint.path else request.model
        return path, fields | media_fields.files(inputs, endpoint.files)

    def _endpoint(self, roles: set[str]) -> Endpoint:
        for endpoint in self.endpoints:
            if endpoint.takes(roles):
                return endpoint
        raise UpstreamRefused


_IMAGE = Dialect(
    count="num_images",
    size=media_fields.as_object,
    names=SAME_NAMES | {"guidance": "guidance_scale", "steps": "num_inference_steps"},
)
_IMAGE_FILE = Endpoint("", {"image": "image_url", "mask": "mask_url"})
_EDIT = Endpoint("edit", {"image": "image_urls[]", "reference": "image_urls[]", "mask": "mask_url"})
_VIDEO = Dialect(size=media_fields.as_ratio_and_lines, seconds=("duration", "{:g}"))
_FIRST_FRAME = {"image": "image_url", "first_frame": "image_url"}
_BEGINS = frozenset(_FIRST_FRAME)
_VIDEO_FILES = Endpoint("", _FIRST_FRAME | {"last_frame": "end_image_url", "reference": "reference_image_urls[]"})
_REFERENCES = Endpoint("reference-to-video", {"reference": "image_urls[]"})

FAMILIES = (
    Family("openai/gpt-image", _IMAGE, suffix="text-to-image", endpoints=(_EDIT,)),
    Family(
        "fal-ai/nano-banana",
        Dialect(count="num_images", size=media_fields.as_ratio_and_k),
        endpoints=(_EDIT,),
    ),
    Family(
        "fal-ai/veo",
        Dialect(size=media_fields.as_ratio_and_lines, seconds=("duration", "{:g}s")),
        endpoints=(
            Endpoint("image-to-video", _FIRST_FRAME),
            Endpoint(
                "first-last-frame-to-video",
                {"image": "first_frame_url", "first_frame": "first_frame_url", "last_frame": "last_frame_url"},
                _BEGINS,
            ),
            _REFERENCES,
        ),
    ),
    Family(
        "bytedance/seedance",
        _VIDEO,
        suffix="text-to-video",
        endpoints=(Endpoint("image-to-video", _FIRST_FRAME | {"last_frame": "end_image_url"}, _BEGINS), _REFERENCES),
    ),
)
_SPEECH = Dialect(text="text", names=media_fields.same("voice", "speed", "seed") | {"language": "language_code"})
_OTHERS = {
    Kind.IMAGE: Family("", _IMAGE, endpoints=(_IMAGE_FILE,)),
    Kind.VIDEO: Family("", _VIDEO, endpoints=(_VIDEO_FILES,)),
    Kind.SPEECH: Family("", _SPEECH),
}
"""Models of no family above, by what they make."""


def of(request: MediaRequest) -> Family:
    return media_fields.family_of(request, FAMILIES, _OTHERS)
