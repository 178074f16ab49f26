"""Mails, to a real SMTP server: what they say, with which password, and what becomes of one that is refused."""

from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from domain.mails import Letter
from domain.mails import MailServer as Address
from gateway.letters import Letters
from gateway.outbox import Outbox
from outbound.smtp import SmtpMailer
from tests.support.certificates import self_signed
from tests.support.doubles.mail_server import MailServer, only, running, text_of
from tests.support.fault_lines import FaultLines

ANN = "ann@example.test"
SENDER = "no-reply@yout.example"
LETTERS = Letters("https://yout.example/")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECRET = "s" * 43
PATIENT = timedelta(seconds=20)


async def sent(server: MailServer, url: str, *letters: Letter, pauses: int = 3) -> None:
    """Everything that becomes of the letters has happened in the end."""
    outbox = Outbox(SmtpMailer(Address.of(url), SENDER), [timedelta(milliseconds=1)] * pauses)
    for letter in letters:
        outbox.send(letter)
    await outbox.close(PATIENT)


async def test_what_a_mail_says() -> None:
    server = MailServer()
    with running(server) as at:
        await sent(server, f"smtp://{at}", LETTERS.reset(ANN, SECRET, HOUR), LETTERS.verification(ANN, SECRET, DAY))
    mails = {str(mail["Subject"]): mail for mail in server.to(ANN)}
    assert set(mails) == {"Choose a new password", "Confirm your e-mail address"}
    for mail in mails.values():
        assert mail["From"].addresses[0].addr_spec == SENDER
        assert mail["Message-ID"].endswith("@yout.example>")
        assert (mail["Auto-Submitted"], mail["Bcc"], mail["Reply-To"]) == ("auto-generated", None, None)
    assert f"https://yout.example/reset#{SECRET}\n" in text_of(mails["Choose a new password"])
    assert "within an hour" in text_of(mails["Choose a new password"])
    assert f"https://yout.example/verify#{SECRET}\n" in text_of(mails["Confirm your e-mail address"])
    assert "within 24 hours" in text_of(mails["Confirm your e-mail address"])


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_a_user_of_the_mail_server_is_named_with_a_password() -> None:
    server = MailServer()
    letter = LETTERS.new_password(ANN)
    guarded = {"authenticator": only("yout", "p@ss/word"), "auth_required": True, "auth_require_tls": False}
    with running(server, **guarded) as at:
        await sent(server, f"smtp://yout:p%40ss%2Fword@{at}", letter)
        assert len(server.mails) == 1
        with capture_logs() as logs:
            await sent(server, f"smtp://yout:wrong@{at}", letter, pauses=0)
    assert len(server.mails) == 1
    assert [(line["event"], line["kind"]) for line in logs] == [("mail lost", "change")]
    assert "SMTPAuthenticationError" in logs[0]["reason"]
    assert not any(word in str(logs) for word in (ANN, "wrong", SECRET))


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_the_operator_reads_why_no_mail_can_be_sent_and_that_it_is_mended() -> None:
    server, lines = MailServer(), FaultLines()
    guarded = {"authenticator": only("yout", "new"), "auth_required": True, "auth_require_tls": False}
    with running(server, **guarded) as at:
        for password in ("old", "new"):
            outbox = Outbox(SmtpMailer(Address.of(f"smtp://yout:{password}@{at}"), SENDER, lines), [])
            outbox.send(LETTERS.new_password(ANN))
            await outbox.close(PATIENT)
    away = Outbox(SmtpMailer(Address.of(f"smtp://{at}"), SENDER, lines), [])
    away.send(LETTERS.new_password(ANN))
    await away.close(PATIENT)
    assert lines.lines == [
        f"{at}: the mail server refuses the user or the password",
        f"{at}: mended",
        f"{at}: no mail server answers",
    ]
    assert len(server.mails) == 1


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_mail_goes_only_to_a_server_with_a_trusted_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    server, identity = MailServer(), self_signed(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(identity.file))
    letter = LETTERS.reset(ANN, SECRET, HOUR)
    with running(server, tls_context=identity.server, require_starttls=True) as at, capture_logs() as logs:
        await sent(server, f"smtp+starttls://localhost:{at.rpartition(':')[2]}", letter, pauses=0)
    assert bool(server.mails) == trusted
    assert [line["reason"].split()[0] for line in logs] == ([] if trusted else ["SSLCertVerificationError"])


@pytest.mark.parametrize(("refusing", "arrives"), [(3, True), (4, False)])
async def test_a_mail_that_is_refused_for_the_moment_is_sent_again(refusing: int, arrives: bool) -> None:
    server = MailServer(refusing=refusing)
    with running(server) as at, capture_logs() as logs:
        await sent(server, f"smtp://{at}", LETTERS.reset(ANN, SECRET, HOUR))
    assert bool(server.mails) == arrives
    assert bool(logs) != arrives
    assert ANN not in str(logs)
    assert SECRET not in str(logs)


async def test_without_a_mail_server_nothing_is_sent() -> None:
    outbox = Outbox(None)
    outbox.send(LETTERS.reset(ANN, SECRET, HOUR))
    await outbox.close(PATIENT)
    assert not outbox.sends
