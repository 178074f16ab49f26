"""What a key may do, and so what it may give to another key or take from it."""

from dataclasses import asdict, dataclass
from datetime import datetime

from domain.errors import AuthorityExceeded, ScopeMissing
from domain.limits import NO_LIMITS, Limits
from domain.privacy import Privacy


@dataclass(frozen=True, slots=True)
class Authority:
    """A key's scopes, limits, end, models and privacy. Limits are the owner's; an operator's ceiling is beside them."""

    scopes: frozenset[str]
    limits: Limits = NO_LIMITS
    expires_at: datetime | None = None
    """None: never."""
    models: frozenset[str] | None = None
    """The models that it may call. None: all."""
    privacy: Privacy = Privacy.DEFAULT
    """What its calls require of providers. A key that is strict gives and restores nothing less."""

    def require_within(self, own: "Authority") -> None:
        """Check that this is within `own`. Raises `ScopeMissing` or `AuthorityExceeded`."""
        if wider := sorted(self.scopes - own.scopes):
            raise ScopeMissing(wider[0])
        wanted = asdict(self.limits)
        for name, limit in asdict(own.limits).items():
            if limit is not None and (wanted[name] is None or wanted[name] > limit):
                raise AuthorityExceeded(
                    f"This API key has the limit {name} = {limit}: it cannot give or restore more than that.",
                    param=f"limits.{name}",
                )
        if own.expires_at is not None and (self.expires_at is None or self.expires_at > own.expires_at):
            raise AuthorityExceeded(
                "This API key expires: it cannot give or change what lasts longer.", param="expires_at"
            )
        if own.privacy is Privacy.STRICT and self.privacy is not Privacy.STRICT:
            raise AuthorityExceeded("This API key has the privacy 'strict': it cannot give less.", param="privacy")
        if own.models is not None and (self.models is None or not self.models <= own.models):
            raise AuthorityExceeded("This API key may not call all of these models itself.", param="models")

    def covers(self, other: "Authority") -> bool:
        try:
            other.require_within(self)
        except (ScopeMissing, AuthorityExceeded):
            return False
        return True

    @property
    def limited(self) -> bool:
        """Whether the key has limits of its own."""
        return self.limits != NO_LIMITS
