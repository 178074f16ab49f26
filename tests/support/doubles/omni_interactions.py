"""Videos by interactions: what Google takes, and how an interaction looks while it runs and at its end."""

import base64
from dataclasses import dataclass
from typing import Any

from tests.support.doubles import media_files
from tests.support.gemini_answers import SECRET

BODY = {"model", "input", "response_format", "generation_config", "background", "store"}
FORMAT = {"type", "aspect_ratio", "resolution", "duration", "delivery"}
TASKS = {"text_to_video", "image_to_video", "reference_to_video"}
POLLS = 2
ENDS = {"fails": "failed", "over-budget": "budget_exceeded", "incomplete": "incomplete", "stops": "cancelled"}
WHEN = {"created": "2026-11-01T00:00:00Z", "updated": "2026-11-01T00:00:00Z"}
EARLY = {"lost-poll": "lost", "broken-poll": "broken", "busy-poll": "busy", "garbage-poll": "garbage"}


def fault(body: dict[str, Any]) -> str | None:
    """What Google would say against a request, or None."""
    form = body.get("response_format", {})
    unknown = [*(body.keys() - BODY), *(form.keys() - FORMAT)]
    if unknown:
        return f'Unknown name "{unknown[0]}"'
    task = body.get("generation_config", {}).get("video_config", {}).get("task", "text_to_video")
    if task not in TASKS or not str(form.get("duration", "8s")).endswith("s"):
        return "video_config"
    if body.get("background") and not body.get("store"):
        return "background needs store"
    return None


def prompt(body: dict[str, Any]) -> str:
    given = body["input"]
    if isinstance(given, str):
        return given
    return " ".join(part["text"] for step in given for part in step["content"] if part["type"] == "text")


@dataclass(slots=True)
class Interaction:
    id: str
    body: dict[str, Any]
    fault: str
    polls: int = 0
    cancelled: bool = False

    @property
    def done(self) -> bool:
        return self.polls >= POLLS and self.fault != "never"

    def fault_of_poll(self) -> str:
        self.polls += 1
        return EARLY.get(self.fault, "") if self.polls == 1 else ""

    def answer(self, origin: str) -> dict[str, Any]:
        """It repeats what was sent, as Google does."""
        whole: dict[str, Any] = {"id": self.id, "object": "interaction", "model": self.body["model"], **WHEN}
        if self.cancelled:
            return whole | {"status": "cancelled"}
        if not self.done:
            return whole | {"status": "in_progress"}
        if self.fault in ENDS:
            return whole | {"status": ENDS[self.fault], "errors": [{"code": "internal", "message": SECRET}]}
        if self.fault == "moderated":
            return whole | {"status": "failed", "errors": [{"code": "content_policy_violation", "message": SECRET}]}
        steps: list[dict[str, Any]] = [{"type": "thought", "signature": "c2ln"}]
        if self.fault != "empty":
            steps.append({"type": "model_output", "content": [self._video(origin)]})
        return whole | {"status": "completed", "steps": steps, "usage": {"total_output_tokens": 9}}

    def _video(self, origin: str) -> dict[str, Any]:
        video = {"type": "video", "mime_type": "video/mp4"}
        if self.body.get("response_format", {}).get("delivery") != "uri":
            return video | {"data": base64.b64encode(media_files.film()).decode()}
        ending = "-wrong-type" if self.fault == "wrong-type" else ""
        return video | {"uri": f"{origin}/v1beta/files/{self.id}{ending}"}
