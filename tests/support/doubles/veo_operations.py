"""Long-running operations of Veo: what Google takes, and how one of them looks while it runs and at its end."""

import base64
from dataclasses import dataclass
from typing import Any

from tests.support.doubles import media_files
from tests.support.gemini_answers import SECRET

INSTANCE = {"prompt", "image", "lastFrame", "referenceImages", "video"}
STUDIO = {"aspectRatio", "resolution", "durationSeconds", "negativePrompt", "personGeneration", "sampleCount"}
VERTEX = STUDIO | {"seed", "generateAudio", "storageUri", "fps", "enhancePrompt"}
POLLS = 2
"""Looks at an operation until it is done."""


def fault(body: dict[str, Any], vertex: bool) -> str | None:
    """What Google would say against a request for videos, or None."""
    (instance,) = body["instances"]
    parameters = body.get("parameters", {})
    unknown = [*(body.keys() - {"instances", "parameters"}), *(instance.keys() - INSTANCE)]
    unknown += parameters.keys() - (VERTEX if vertex else STUDIO)
    if unknown:
        return f'Unknown name "{unknown[0]}"'
    images = [instance.get("image"), instance.get("lastFrame")]
    images += [each["image"] for each in instance.get("referenceImages", [])]
    if any(image.keys() != {"bytesBase64Encoded", "mimeType"} for image in images if image):
        return "image: bytes and their type"
    if any(each.get("referenceType") != "asset" for each in instance.get("referenceImages", [])):
        return "reference_type"
    if parameters.get("aspectRatio", "16:9") not in ("16:9", "9:16"):
        return "aspect_ratio"
    if not isinstance(parameters.get("durationSeconds", 8), int) or parameters.get("sampleCount", 1) > 4:
        return "parameters"
    return None


@dataclass(slots=True)
class Operation:
    name: str
    body: dict[str, Any]
    fault: str
    vertex: bool
    polls: int = 0

    @property
    def done(self) -> bool:
        return self.polls >= POLLS and self.fault != "never"

    def fault_of_poll(self) -> str:
        """The fault of this look at it: the first one may be lost, or come too early."""
        self.polls += 1
        early = {"lost-poll": "lost", "broken-poll": "broken", "busy-poll": "busy", "garbage-poll": "garbage"}
        if self.fault == "forgotten":
            return "no-model"
        return early.get(self.fault, "") if self.polls == 1 else ""

    def answer(self, origin: str) -> dict[str, Any]:
        if not self.done:
            return {"name": self.name} if self.vertex else {"name": self.name, "metadata": {}}
        if self.fault == "fails":
            return {"name": self.name, "done": True, "error": {"code": 13, "message": SECRET}}
        if self.fault == "refused-late":
            return {"name": self.name, "done": True, "error": {"code": 3, "message": SECRET}}
        return {"name": self.name, "done": True, "response": self._result(origin)}

    def _result(self, origin: str) -> dict[str, Any]:
        count = self.body.get("parameters", {}).get("sampleCount", 1)
        filtered = {"moderated": count, "partly": 1}.get(self.fault, 0)
        count_done = 0 if self.fault == "empty" else count - filtered
        rai = {"raiMediaFilteredCount": filtered, "raiMediaFilteredReasons": [SECRET] * filtered} if filtered else {}
        if not self.vertex:
            ending = "-wrong-type" if self.fault == "wrong-type" else ""
            file = f"{origin}/v1beta/files/{self.name.rpartition('/')[2]}{ending}:download?alt=media"
            samples = {"generatedSamples": [{"video": {"uri": file}}] * count_done} if count_done else {}
            return {"generateVideoResponse": samples | rai}
        content = b"<html>SECRET</html>" if self.fault == "wrong-type" else media_files.film()
        encoded = base64.b64encode(content).decode()
        return {"videos": [{"bytesBase64Encoded": encoded, "mimeType": "video/mp4"}] * count_done} | rai
