"""Settings of what is stored, and for how long: outputs, replays, details of calls, shared pages."""

import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from domain.media_files import MIB, FileLimits
from domain.operations import REMEMBERED
from domain.retention import Retention
from domain.shares import Lifetimes
from settings.fields import Days, Lifetime, Seconds, absent


def _reached(contact: str | None) -> str | None:
    if contact is not None and not re.fullmatch(r"https?://\S+|[^\s@]+@[^\s@]+", contact):
        raise ValueError("must be an e-mail address, or a link that begins with http:// or https://")
    return contact


class ContentSettings(BaseModel):
    output_url_lifetime: Seconds = timedelta(hours=1)
    presigned_lifetime: Seconds = Field(default=timedelta(), ge=timedelta(), le=timedelta(minutes=5))
    """Of links of the object store to which `/media/…` redirects. 0: the API serves outputs itself."""
    output_lifetime: Seconds = timedelta(days=7)
    """Of accounts whose plan does not say another; `output_lifetime_days` in the catalog."""
    max_stored_mib: int = Field(default=10 * 1024, ge=0)
    """Of an account's outputs and uploads together. 0: no limit."""
    upload_lifetime: Seconds = timedelta(hours=24)
    """How long a file that was sent waits for its job."""
    max_image_mib: int = Field(default=20, ge=1, le=100)
    """Of one input file of a job, as the next two; also of an upload."""
    max_audio_mib: int = Field(default=25, ge=1, le=100)
    max_video_mib: int = Field(default=50, ge=1, le=100)
    max_input_megapixels: int = Field(default=50, ge=1)
    """Of a picture that a job is given, decoded."""
    max_uploads_mib: int = Field(default=500, ge=1)
    """Of an account's uploads together: they are stored in PostgreSQL."""
    idempotency_lifetime: Seconds = REMEMBERED
    """How long an `Idempotency-Key` gives the same answer again."""
    hold_retention: Days = timedelta(days=90)
    """Closed holds and jobs, and with them receipts. What they moved stays for ever."""
    usage_retention: Days = timedelta(days=400)
    """Usage of single calls; that of days stays for ever."""
    operator_contact: Annotated[str | None, BeforeValidator(absent), AfterValidator(_reached)] = None
    """An e-mail address or a link: who runs this server, and where a shared page is reported. It is shown to all."""
    share_lifetime: Lifetime = timedelta(days=30)
    """How long a shared page lives whose maker does not say."""
    max_share_lifetime: Lifetime = timedelta(days=365)
    """The most that its maker may say. 0: also for ever."""
    max_shares: int = Field(default=1000, ge=0)
    """Shared pages that an account may have at a time."""
    audit_retention: Days = timedelta(days=90)

    @model_validator(mode="after")
    def _keeps_long_enough(self) -> Self:
        if not self.retention.outlasts(self.idempotency_lifetime):
            raise ValueError("hold_retention must be a day longer than idempotency_lifetime: a replay needs its hold")
        return self

    @model_validator(mode="after")
    def _shares_end(self) -> Self:
        usual, longest = self.share_lifetime, self.max_share_lifetime
        if longest is not None and (usual is None or usual > longest):
            raise ValueError("share_lifetime must not be longer than max_share_lifetime")
        return self

    @property
    def max_stored_bytes(self) -> int | None:
        return self.max_stored_mib * MIB or None

    @property
    def file_limits(self) -> FileLimits:
        return FileLimits(
            max_image_bytes=self.max_image_mib * MIB,
            max_audio_bytes=self.max_audio_mib * MIB,
            max_video_bytes=self.max_video_mib * MIB,
            max_pixels=self.max_input_megapixels * 1_000_000,
        )

    @property
    def share_lifetimes(self) -> Lifetimes:
        return Lifetimes(self.share_lifetime, self.max_share_lifetime)

    @property
    def retention(self) -> Retention:
        return Retention(holds=self.hold_retention, usage=self.usage_retention, audits=self.audit_retention)
