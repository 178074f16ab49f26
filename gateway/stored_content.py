"""What is stored for an account: how much of each kind, in which form, how long, and whether a purge erases it."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from db import stored_rows
from db.engine import Database
from db.erasure import RETAINED
from db.stored_rows import MAX_COUNTED, OUTPUTS
from domain.retention import Keeping


@dataclass(frozen=True, slots=True)
class StoredKind:
    """One kind of what is stored."""

    name: str
    """As a purge's receipt has it."""
    title: str
    rule: str
    """What it is, in which form, and how long."""
    count: int
    more: bool
    """There is more than `count`, where counting ends."""
    erased: bool
    """By a purge of everything."""
    reason: str | None = None
    """Why it stays."""
    until: str | None = None


_SEALED = "Sealed with your account's own key"
ERASED_WORDS: Mapping[str, tuple[str, str]] = {
    "job_inputs": ("Prompts of running jobs", f"{_SEALED}, and deleted when the job ends"),
    "job_files": ("Parts of input files of jobs", f"{_SEALED}, and deleted when the job ends"),
    "conversations": ("Kept chats", f"{_SEALED}, until you delete them"),
    "messages": ("Messages of kept chats", f"{_SEALED}, until you delete their chat"),
    "shares": ("Shared pages", "Open to whoever has the link, until they end or you take them back"),
    OUTPUTS: (
        "Images, videos, speech",
        "Behind signed links. {outputs}, or as your plan says, or until you delete them",
    ),
    "uploads": ("Uploads", f"{_SEALED}. {{uploads}}, or until you delete them"),
    "upload_parts": ("Parts of uploads", f"{_SEALED}, as long as their upload"),
    "idempotency_keys": (
        "Requests that are not charged twice",
        "{replays}. Sent by these pages: a keyed hash, without the answer. Sent by a program with an Idempotency-Key: "
        "the answer too, sealed so that its API key alone opens it",
    ),
    "usage_entries": ("Usage rows", "Time, model, tokens, credits. No content. {usage}"),
    "usage_days": ("Usage by day", "Sums by day, model and key. No content. As long as the account"),
    "running_balances": ("Balances over time", "After one movement of credits in 500. As long as the account"),
    "media_jobs": ("Jobs", "Model, state, credits, times. No prompt. {jobs}"),
    "webhook_endpoints": ("Webhook endpoints", f"{_SEALED}, until you delete them"),
    "webhook_secrets": ("Webhook secrets", f"{_SEALED}, until you delete their endpoint or their overlap ends"),
    "events": ("Webhook messages", "Ids, states and credits. Sealed after the first attempt. {webhooks}"),
    "webhook_deliveries": ("Webhook deliveries", "Times, statuses and latencies. No answer's body. {webhooks}"),
}
"""By name: a title, and the rule, into which the times of `Keeping` go."""
RETAINED_TITLES: Mapping[str, str] = {
    "accounts": "Your account",
    "users": "Your e-mail address and password",
    "sessions": "Browsers that are signed in",
    "one_time_links": "Mailed links",
    "api_keys": "API keys",
    "api_key_secrets": "Tokens of API keys",
    "holds": "Calls in the books",
    "transactions": "Movements of credits",
    "lines": "Amounts of movements",
    "plan_terms": "Terms of your plan",
    "payments": "Payments",
    "payment_customers": "You as a customer at Stripe",
    "payment_subscriptions": "Subscriptions",
    "purges": "Purges",
    "purge_receipts": "Receipts of purges",
    "roll_ups": "Sums of erased calls",
    "data_keys": "Keys that seal your content",
}


class StoredContent:
    def __init__(self, database: Database, keeping: Keeping) -> None:
        self._database, self._times = database, keeping.words()

    async def of(self, account_id: UUID) -> list[StoredKind]:
        """Return every kind, what a purge erases first."""
        counts = await stored_rows.count(self._database, account_id)
        kinds = [
            StoredKind(name, title, _sentence(rule.format(**self._times)), *_shown(counts[name]), erased=True)
            for name, (title, rule) in ERASED_WORDS.items()
        ]
        retained = {entry.table: entry for entry in RETAINED}
        return kinds + [
            StoredKind(
                name,
                title,
                _sentence(retained[name].fields),
                *_shown(counts[name]),
                erased=False,
                reason=retained[name].reason,
                until=retained[name].until,
            )
            for name, title in RETAINED_TITLES.items()
        ]


def _shown(count: int) -> tuple[int, bool]:
    return min(count, MAX_COUNTED), count > MAX_COUNTED


def _sentence(text: str) -> str:
    """Begin each sentence with a capital letter."""
    return ". ".join(part[:1].upper() + part[1:] for part in text.split(". "))
