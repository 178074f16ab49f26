"""Checks of this deployment: its public address, its mail server, the disk of its state folder."""

import asyncio
import os
import shutil
import smtplib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import environment
from cli.checks.finding import Finding, Level, fault, ok, warn
from cli.checks.providers import connected
from domain.hosts import is_loopback
from domain.media_files import MIB
from environment import SettingsInvalid
from outbound import smtp
from outbound.smtp import SmtpMailer
from settings.fields import split_url

if TYPE_CHECKING:
    from settings import Settings

LITTLE, VERY_LITTLE = 1024 * MIB, 100 * MIB
"""Room on a disk, in bytes."""
LITTLE_SHARE = 0.1


async def check_address(settings: "Settings") -> list[Finding]:
    parts = urlsplit(settings.public_url)
    host = parts.hostname or ""
    findings = [_scheme(settings, host)]
    if parts.scheme == "https" and not settings.trusted_proxies.strip():
        what = "no proxy is trusted: behind one, all people share the tries to sign in and one visitor's allowance"
        findings.append(warn("proxies", what, "set YOUT_TRUSTED_PROXIES to the network of the proxy"))
    if settings.webhooks_allow_loopback and not is_loopback(host):
        what = "URLs of callers may be of this machine"
        findings.append(fault("loopback", what, "unset YOUT_WEBHOOKS_ALLOW_LOOPBACK: it is for development"))
    if settings.metrics_token is None and not is_loopback(host):
        what = "GET /metrics needs no token"
        remedy = "set YOUT_METRICS_TOKEN, or have the proxy answer /metrics with 404"
        findings.append(warn("metrics", what, remedy))
    problem = await connected((parts.scheme, host, parts.port or (443 if parts.scheme == "https" else 80)))
    if problem is not None:
        what = f"{problem[0]} at {parts.netloc.rpartition('@')[2]}, as seen from this machine"
        findings.append(
            warn("public address", what, "see that the API and its proxy run, and that DNS names the proxy")
        )
    return findings


def _scheme(settings: "Settings", host: str) -> Finding:
    if settings.public_url.startswith("https:"):
        return ok("public URL", "https: cookies are for https alone")
    if not settings.sends_in_the_open:
        return ok("public URL", f"{host}: it serves this machine alone")
    what = "YOUT_PUBLIC_URL is http: keys, passwords, cookies and prompts cross the network for all to read"
    return fault("public URL", what, "put a proxy with TLS in front, and set YOUT_PUBLIC_URL to its https address")


async def check_mail(settings: "Settings") -> list[Finding]:
    server = settings.mail_server
    if server is None:
        if not settings.email_verification:
            return [ok("mail", "no mail is sent, and none is needed to sign up")]
        remedy = (
            "set YOUT_SMTP_URL, or YOUT_EMAIL_VERIFICATION=false; `yout accounts verify-link` prints links until then"
        )
        return [warn("mail", "without a mail server nobody can sign up without the operator", remedy)]
    mailer = SmtpMailer(server, settings.sender)
    try:
        await asyncio.to_thread(mailer.check)
    except (smtplib.SMTPException, OSError) as error:
        what, remedy = smtp.cause(error)
        return [fault("mail", f"{what} ({mailer.place})", remedy)]
    return [ok("mail", f"{mailer.place} accepts us; the sender is {settings.sender}")]


async def check_traces() -> list[Finding]:
    try:
        receiver = environment.trace_receiver()
    except SettingsInvalid as invalid:
        return [fault("traces", problem, "mend it: docs/operating.md, Traces") for problem in invalid.problems]
    if receiver is None:
        return [ok("traces", "none are exported")]
    parts = split_url(receiver)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return [fault("traces", "the endpoint of OTEL_EXPORTER_OTLP is no URL", "write it as http://host:4318")]
    port = parts.port or (443 if parts.scheme == "https" else 80)
    place = f"{parts.hostname}:{port}"
    if (problem := await connected((parts.scheme, parts.hostname, port))) is not None:
        remedy = "see that the receiver runs and can be reached from here; calls and jobs do not wait for it"
        return [warn("traces", f"{problem[0]} at {place}", remedy)]
    return [ok("traces", f"{place} takes them")]


async def check_disk(settings: "Settings") -> list[Finding]:
    """The state folder needs room where it has the outputs; else it has nothing that grows."""
    url, state = settings.storage_url, settings.state_dir
    findings = [await asyncio.to_thread(_disk, "state folder", state, needs_room=not url)]
    if url and url.startswith("file:"):
        outputs = Path(unquote(urlsplit(url).path))
        findings.append(await asyncio.to_thread(_disk, "outputs folder", outputs, needs_room=True))
    return findings


def _disk(name: str, folder: Path, *, needs_room: bool) -> Finding:
    try:
        if not folder.exists():
            return ok(name, f"{folder} is not there: nothing has needed it yet")
        usage = shutil.disk_usage(folder)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        return fault(name, f"{folder} cannot be used ({reason})", "mend its rights, or set YOUT_STATE_DIR")
    if not writable:
        return fault(name, f"{folder} cannot be written", "give this user the right to write there")
    if not needs_room:
        return ok(name, f"{folder} can be written; outputs are elsewhere")
    level = _room(usage.free, usage.total)
    what = f"{usage.free / (1024 * MIB):,.1f} GiB of {usage.total / (1024 * MIB):,.1f} GiB are free at {folder}"
    remedy = "" if level is Level.OK else "make room, or shorten YOUT_OUTPUT_LIFETIME"
    return Finding(name, level, what, remedy)


def _room(free: int, total: int) -> Level:
    if free < VERY_LITTLE:
        return Level.FAULT
    return Level.WARN if free < LITTLE and free < total * LITTLE_SHARE else Level.OK
