"""Everything that depends on the master secret outlives its rotation, whichever of two processes has been restarted."""

import ast
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from temporalio.api.common.v1 import Payload

from api.statement_cursor import StatementCursor
from db.billing import Balances, Opened
from db.pages import Span
from domain.sealing import Wrapping
from domain.secrets import DerivedKeys, Purpose, Secrets
from domain.signed_urls import SignedUrls
from domain.visitors import VisitorCookies
from gateway.idempotency import IdempotentRequests
from gateway.known_browsers import KnownBrowsers
from temporal.codec import EncryptionCodec, Keyring

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = (
    *("api", "gateway", "domain", "catalog", "db", "outbound", "providers", "storage", "temporal", "workflows"),
    "activities",
    *("dev", "cli", "web", "programs", "tracing"),
)
OLD, NEW = Secrets("old" * 12), Secrets("new" * 12, ["older" * 12, "old" * 12])
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = UUID(int=1)


async def idempotency(old: DerivedKeys, new: DerivedKeys) -> bool:
    before, after = (IdempotentRequests(keys).explicit("chat", "k", {"a": 1}, "token").claim for keys in (old, new))
    implicit = [IdempotentRequests(keys).implicit("chat", {"a": 1}, "token") for keys in (old, new)]
    sealed = implicit[0].sealed(b"{}")
    assert sealed is not None
    assert implicit[1].opened(sealed) == {}
    assert set(implicit[0].claim.identities) < set(implicit[1].claim.identities)
    return set(before.identities) < set(after.identities)


async def statement_cursors(old: DerivedKeys, new: DerivedKeys) -> bool:
    balances = Balances(1, 2)
    opened = Opened(NOW, NOW, Span(1, 9), balances, balances)
    return StatementCursor(new).read(ACCOUNT, StatementCursor(old).write(ACCOUNT, 7, opened)) == (7, opened)


async def signed_urls(old: DerivedKeys, new: DerivedKeys) -> bool:
    link, expires = SignedUrls(old, "https://yout.example", timedelta(hours=1)).url("a/b", NOW)
    query = dict(part.split("=") for part in link.partition("?")[2].split("&"))
    urls = SignedUrls(new, "https://yout.example", timedelta(hours=1))
    return urls.check("a/b", query["exp"], query["sig"], NOW) == expires


async def data_keys(old: DerivedKeys, new: DerivedKeys) -> bool:
    wrapped = Wrapping(old.every).wrap(b"k" * 32, aad="p", nonce=bytes(12))
    return Wrapping(new.every).unwrap(wrapped, aad="p") == b"k" * 32


async def visitor_cookies(old: DerivedKeys, new: DerivedKeys) -> bool:
    visitor_id, today = UUID(int=7), date(2026, 1, 1)
    return VisitorCookies(new).read(VisitorCookies(old).written(visitor_id, today), today) == visitor_id


async def temporal_payloads(old: DerivedKeys, new: DerivedKeys) -> bool:
    payload = Payload(data=b"ids")
    sealed = await EncryptionCodec(Keyring.of(old)).encode([payload])
    return await EncryptionCodec(Keyring.of(new)).decode(sealed) == [payload]


async def sign_in(old: DerivedKeys, new: DerivedKeys) -> bool:
    """A browser stays known. What slows guessing down begins anew."""
    return KnownBrowsers(new).name_of(KnownBrowsers(old).written(ACCOUNT), ACCOUNT) is not None


ROTATIONS: Mapping[Purpose, Callable[[DerivedKeys, DerivedKeys], object]] = {
    Purpose.IDEMPOTENCY: idempotency,
    Purpose.STATEMENT_CURSORS: statement_cursors,
    Purpose.SIGNED_URLS: signed_urls,
    Purpose.DATA_KEYS: data_keys,
    Purpose.VISITOR_COOKIES: visitor_cookies,
    Purpose.SIGN_IN: sign_in,
    Purpose.TEMPORAL_PAYLOADS: temporal_payloads,
}


@pytest.mark.parametrize("purpose", Purpose)
async def test_what_an_old_secret_made_is_known_under_the_new_one(purpose: Purpose) -> None:
    assert await ROTATIONS[purpose](OLD.derive(purpose), NEW.derive(purpose))  # type: ignore[misc]


def test_a_purpose_has_a_key_of_its_own() -> None:
    keys = [key for purpose in Purpose for key in NEW.derive(purpose).every]
    assert len(set(keys)) == len(keys) == 3 * len(Purpose)


def test_a_previous_secret_that_is_the_current_one_is_one_secret() -> None:
    assert Secrets("a" * 32, ["a" * 32, "b" * 32, "b" * 32]).derive(Purpose.IDEMPOTENCY) == Secrets(
        "a" * 32, ["b" * 32]
    ).derive(Purpose.IDEMPOTENCY)


def test_every_key_is_derived_here_for_a_purpose_with_a_rotation() -> None:
    """Whoever derives by other means, or takes the current key alone, is found."""
    uses = list(_derivations())
    assert {place for place, purpose in uses if purpose is None} == {
        "domain/secrets.py",  # the one place that derives from the master secret
        "gateway/idempotency.py",  # from the caller's own API key
    }
    assert {purpose for _, purpose in uses if purpose} == {purpose.name for purpose in Purpose}
    assert set(ROTATIONS) == set(Purpose)


def _derivations() -> Iterator[tuple[str, str | None]]:
    """Each call of a `derive`, and of `HKDF`: where, and for which purpose, if it names one."""
    for path in (*ROOT.glob("*.py"), *(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in {"derive", "HKDF", "PBKDF2HMAC", "Scrypt"}:
                argument = node.args[0] if node.args else None
                of_purpose = isinstance(argument, ast.Attribute) and getattr(argument.value, "id", "") == "Purpose"
                purpose = argument.attr if of_purpose and isinstance(argument, ast.Attribute) else None
                yield path.relative_to(ROOT).as_posix(), purpose
