"""Media jobs as pages show them: how far they are, what they cost, and what became of their outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.counts import counted
from domain.media import GIVEN_BACK
from web import numbers

STEPS = ("Credits held", "Sent", "Rendering", "Checking", "Ready")
ACTIVE = ("queued", "running")
_PHASES = {None: (1, "Being sent"), "waiting": (2, "In line at the provider"), "running": (2, "Rendering")}
_COPYING = (3, "Checking")
_NOUNS = {"image": "Image", "video": "Video", "speech": "Speech", "transcription": "Transcript"}
_TAGS = {
    "queued": ("wait", "Waiting"),
    "running": ("wait", "Running"),
    "succeeded": ("good", "Ready"),
    "failed": ("bad", "Failed"),
    "cancelled": ("", "Cancelled"),
}
_FAULTS = {
    "upstream_error": "The provider could not make it",
    "upstream_timeout": "The provider took too long",
}
"""Faults in a few words, by their codes."""
_EXTENSIONS = {"jpeg": "jpg", "mpeg": "mp3", "x-wav": "wav", "plain": "txt"}


@dataclass(frozen=True, slots=True)
class Output:
    url: str = field(repr=False)
    poster: str | None = field(repr=False)
    type: str
    """`image`, `video`, `audio` or what else the content type begins with."""
    file_name: str = field(repr=False)
    size: str = field(repr=False)
    """In pixels. Empty: it has none."""
    duration: str = field(repr=False)
    """Such as `0:05`. Empty: not known."""
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class ShownJob:
    job: Mapping[str, Any] = field(repr=False)
    """As `GET /api/media/jobs/<uuid>/` answers it."""
    now: datetime
    model_name: str = field(repr=False)
    origin: str = field(default="", repr=False)
    """The address of this server: links to it are shown without it."""

    @property
    def id(self) -> str:
        return str(self.job["job_uuid"])

    @property
    def active(self) -> bool:
        return self.job["status"] in ACTIVE

    @property
    def noun(self) -> str:
        return _NOUNS[self.job["kind"]]

    @property
    def tag(self) -> tuple[str, str]:
        """The colour and the words of its state."""
        cancelling = self.active and self.job["cancel_requested_at"]
        return ("wait", "Cancelling") if cancelling else _TAGS[self.job["status"]]

    @property
    def step(self) -> int:
        """The place in `STEPS` of what is done now; behind all of them for a job that is ready."""
        if self.job["status"] == "succeeded":
            return len(STEPS)
        return self._phase[0]

    @property
    def doing(self) -> str:
        if self.job["cancel_requested_at"]:
            return "Asked to stop"
        if self.job["status"] == "queued":
            return "Waiting for its turn"
        return self._phase[1]

    @property
    def _phase(self) -> tuple[int, str]:
        return _COPYING if self.job["phase"] == "copying" else _PHASES[self.job["phase"]]

    @property
    def percent(self) -> int | None:
        """How far the provider says it is. None: it does not."""
        progress: int | None = self.job["progress"]
        return progress if self.job["status"] == "running" else None

    @property
    def held(self) -> int:
        return int(self.job["credits_cost"]) if self.active else 0

    @property
    def back(self) -> int:
        return int(self.job["credits_refunded"])

    @property
    def charged(self) -> int:
        return 0 if self.active else int(self.job["credits_cost"]) - self.back

    @property
    def took(self) -> str:
        """How long it has taken, to its end or until now."""
        end = self.job["finished_at"]
        until = numbers.moment(end) if end else self.now
        return lasting(int((until - numbers.moment(self.job["created_at"])).total_seconds()))

    @property
    def gone(self) -> str | None:
        """What became of the outputs of a job that has none any more. None: it has them, or never had any."""
        if self.job["status"] != "succeeded" or self.job["outputs"]:
            return None
        return "expired" if self._expires_at and self._expires_at <= self.now else "deleted"

    @property
    def left(self) -> str:
        """How long its outputs are kept, such as `23 h left`. Empty: it has none."""
        if not self.job["outputs"] or self._expires_at is None:
            return ""
        hours = int((self._expires_at - self.now).total_seconds()) // 3600
        if hours >= 48:
            return f"{round(hours / 24)} days left"  # of a new file all of its days
        return f"{hours} h left" if hours else "under 1 h left"

    @property
    def _expires_at(self) -> datetime | None:
        return numbers.moment(self.job["expires_at"]) if self.job["expires_at"] else None

    @property
    def outputs(self) -> Sequence[Output]:
        outputs = self.job["outputs"]
        return [_output(each, self, place if len(outputs) > 1 else 0) for place, each in enumerate(outputs, 1)]

    @property
    def caption(self) -> str:
        """What is known of a job whose prompt is gone: its model, its size and when it was asked for."""
        facts = [first.size or first.duration for first in self.outputs[:1]]
        when = [] if self.active else [numbers.relative(numbers.moment(self.job["created_at"]), self.now)]
        return " · ".join(filter(None, (self.model_name, *facts, *when)))

    @property
    def fault(self) -> str:
        """What went wrong, in a few words. Empty: it takes more words, or nothing did."""
        return _FAULTS.get(self.job["error"]["code"], "") if self.job["error"] else ""

    @property
    def fault_text(self) -> str:
        return str(self.job["error"]["message"]).removesuffix(GIVEN_BACK)

    @property
    def words(self) -> str:
        """What became of it, as a screen reader says it."""
        match self.job["status"]:
            case "succeeded":
                return f"{self.noun} ready. {counted(self.charged, 'credit')} charged."
            case "failed":
                return f"{self.noun} failed. {counted(self.back, 'credit')} came back."
            case "cancelled":
                return f"{self.noun} cancelled. {counted(self.back, 'credit')} came back."
        return f"{self.noun}: {self.doing.lower()}."


def lasting(seconds: int) -> str:
    """Write a span of time, such as `1 min 48 s`."""
    minutes, rest = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _output(output: Mapping[str, Any], job: ShownJob, place: int) -> Output:
    """`place`: its number, of a job that has several."""
    kind, _, subtype = output["content_type"].partition(";")[0].partition("/")
    width, height, duration = output["width"], output["height"], output["duration"]
    number = f"-{place}" if place else ""
    seconds = max(1, int(duration or 0))
    return Output(
        url=output["url"].removeprefix(job.origin),
        poster=output["poster_url"] and output["poster_url"].removeprefix(job.origin),
        type=kind,
        file_name=f"{job.job['kind']}-{job.id[:8]}{number}.{_EXTENSIONS.get(subtype, subtype)}",
        size=f"{width} \N{MULTIPLICATION SIGN} {height}" if width and height else "",
        duration=f"{seconds // 60}:{seconds % 60:02}" if duration else "",
        width=width,
        height=height,
    )
