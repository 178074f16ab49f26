"""Google's own SDK takes the double for Google: images, speech, Veo on Vertex AI, and videos by interactions."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2 import service_account

from storage import sniff
from tests.support.doubles import media_files
from tests.support.doubles.google_media import GoogleMedia
from tests.support.key_files import key_file

IMAGE = "gemini-3.1-flash-image"
OMNI = "gemini-omni-1.1-flash"
VEO = "veo-3.1-generate-001"


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleMedia]:
    with GoogleMedia() as server:
        yield server


@pytest.fixture(scope="module")
def studio(google: GoogleMedia) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=google.origin, api_version="v1beta")
    with genai.Client(api_key=google.key, http_options=options) as client:
        yield client


@pytest.fixture(scope="module")
def vertex(google: GoogleMedia) -> Iterator[genai.Client]:
    read = cast(Any, service_account.Credentials.from_service_account_info)
    credentials = read(key_file(google.origin), scopes=["https://www.googleapis.com/auth/cloud-platform"])
    options = types.HttpOptions(base_url=google.origin, api_version="v1beta1")
    with genai.Client(
        vertexai=True, project="p", location="us-central1", credentials=credentials, http_options=options
    ) as client:
        yield client


def drawn(client: genai.Client, prompt: str, **config: Any) -> types.GenerateContentResponse:
    options = types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"], **config)
    return client.models.generate_content(model=IMAGE, contents=prompt, config=options)


def parts(answer: types.GenerateContentResponse) -> list[types.Part]:
    content = answer.candidates[0].content if answer.candidates else None
    return list(content.parts or []) if content else []


@pytest.mark.parametrize("where", ["studio", "vertex"])
def test_images(where: str, request: pytest.FixtureRequest) -> None:
    config = types.ImageConfig(aspect_ratio="16:9", image_size="2K")
    answer = drawn(request.getfixturevalue(where), "a cat", image_config=config)
    files = [part for part in parts(answer) if part.inline_data]
    assert [bool(part.thought) for part in files] == [True, False]
    assert files[1].inline_data is not None
    assert sniff.content_type(files[1].inline_data.data or b"") == "image/png"


def test_an_image_of_an_image(studio: genai.Client) -> None:
    given: list[types.PartUnionDict] = [
        types.Part.from_bytes(data=media_files.picture(), mime_type="image/png"),
        "make it green",
    ]
    options = types.GenerateContentConfig(response_modalities=["IMAGE"])
    answer = studio.models.generate_content(model=IMAGE, contents=given, config=options)
    assert any(part.inline_data for part in parts(answer))


def test_what_google_does_not_make(studio: genai.Client) -> None:
    reasons = types.FinishReason
    for fault, reason in {"moderated": reasons.IMAGE_SAFETY, "prohibited": reasons.PROHIBITED_CONTENT}.items():
        (candidate,) = drawn(studio, f"a cat [{fault}]").candidates or []
        assert (candidate.finish_reason, parts(drawn(studio, f"a cat [{fault}]"))) == (reason, [])
    feedback = drawn(studio, "a cat [blocked]").prompt_feedback
    assert feedback is not None
    assert feedback.block_reason is types.BlockedReason.SAFETY


@pytest.mark.parametrize(("fault", "status"), [("busy", 429), ("broken", 500), ("refused", 400)])
def test_errors(studio: genai.Client, fault: str, status: int) -> None:
    with pytest.raises(errors.APIError) as error:
        drawn(studio, f"a cat [{fault}]")
    assert error.value.code == status


@pytest.mark.parametrize(
    ("model", "media_type", "content"),
    [
        ("gemini-2.5-flash-preview-tts", "audio/L16;codec=pcm;rate=24000", media_files.sound("pcm")),
        ("gemini-3.8-flash-tts", "audio/wav", media_files.sound("wav")),
    ],
)
def test_speech(studio: genai.Client, model: str, media_type: str, content: bytes) -> None:
    voice = types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Kore"))
    config = types.GenerateContentConfig(
        response_modalities=["AUDIO"], speech_config=types.SpeechConfig(voice_config=voice)
    )
    answer = studio.models.generate_content(model=model, contents="Hi.", config=config)
    (part,) = parts(answer)
    assert part.inline_data is not None
    assert (part.inline_data.mime_type, part.inline_data.data) == (media_type, content)


def filmed(client: genai.Client, prompt: str, **config: Any) -> types.GenerateVideosOperation:
    operation = client.models.generate_videos(
        model=VEO,
        source=types.GenerateVideosSource(prompt=prompt),
        config=types.GenerateVideosConfig(aspect_ratio="9:16", duration_seconds=4, **config),
    )
    while not operation.done:
        operation = client.operations.get(operation)
    return operation


def test_videos(vertex: genai.Client, google: GoogleMedia) -> None:
    first = types.Image(image_bytes=media_files.picture(), mime_type="image/png")
    operation = filmed(vertex, "a cat", number_of_videos=2, generate_audio=False, seed=7, last_frame=first)
    assert operation.response is not None
    videos = [each.video.video_bytes for each in operation.response.generated_videos or [] if each.video]
    assert [sniff.content_type(video or b"") for video in videos] == ["video/mp4"] * 2
    assert len([seen for seen in google.seen if seen.path.endswith(":fetchPredictOperation")]) == 2


def test_videos_that_are_filtered_and_that_fail(vertex: genai.Client) -> None:
    result = filmed(vertex, "a cat [moderated]").response
    assert result is not None
    assert (result.rai_media_filtered_count, result.generated_videos or []) == (1, [])
    assert (filmed(vertex, "a cat [fails]").error or {})["code"] == 13


def test_videos_by_interactions(studio: genai.Client, google: GoogleMedia) -> None:
    interactions = cast(Any, studio.interactions)
    begun = interactions.create(
        model=OMNI,
        input=[
            {"type": "text", "text": "a cat"},
            {"type": "image", "data": "aGk=", "mime_type": "image/png"},
        ],
        response_format={
            "type": "video",
            "aspect_ratio": "16:9",
            "resolution": "720p",
            "duration": "8s",
            "delivery": "uri",
        },
        generation_config={"video_config": {"task": "image_to_video"}},
        background=True,
        store=True,
    )
    assert begun.status == "in_progress"
    while (seen := interactions.get(begun.id)).status == "in_progress":
        continue
    assert (seen.status, seen.output_video.mime_type) == ("completed", "video/mp4")
    file = seen.output_video.uri.rpartition("/")[2].partition(":")[0]
    assert sniff.content_type(studio.files.download(file=f"files/{file}")) == "video/mp4"
    stopped = interactions.create(model=OMNI, input="a dog", background=True, store=True)
    assert interactions.cancel(stopped.id).status == "cancelled"
    interactions.delete(stopped.id)
    assert google.deleted == [stopped.id]


def test_the_double_is_as_strict_as_google(google: GoogleMedia, studio: genai.Client) -> None:
    with pytest.raises(errors.APIError) as error:
        drawn(studio, "a cat", temperature=0.5)
    assert error.value.code == 400
    options = types.HttpOptions(base_url=google.origin, api_version="v1beta")
    with genai.Client(api_key="another", http_options=options) as other, pytest.raises(errors.APIError) as refused:
        drawn(other, "a cat")
    assert refused.value.code == 401
