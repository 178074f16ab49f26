"""`yout doctor`: looks at every part that this deployment needs, and says what to do. Parts may be away."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

import environment
from cli.checks.finding import TIMEOUT_SECONDS, Finding, Level, fault, ok
from cli.database import run, settings
from cli.terminal import as_json, print_json, print_table, say, say_folded
from domain.counts import counted
from environment import SettingsInvalid

if TYPE_CHECKING:
    from settings import Settings

UNWELL = 1
Group = tuple[str, Callable[[], Awaitable[list[Finding]]]]
"""The name for what went wrong with the group as a whole, and its checks."""


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check database, Temporal, storage, secrets, catalog, providers, mail, address and disk; say what to do.

    Nothing is changed, no provider is called, and no secret is shown. Exit code 0: no fault, 1: at least one.
    """
    findings = run(_findings())
    well = all(finding.level is not Level.FAULT for finding in findings)
    if as_json:
        rows = [
            {"check": one.check, "level": one.level, "what": one.what, "remedy": one.remedy or None} for one in findings
        ]
        print_json({"well": well, "checks": rows})
    else:
        _print(findings, well=well)
    sys.exit(0 if well else UNWELL)


async def _findings() -> list[Finding]:
    try:
        groups, before = _groups(settings()), [ok("settings", "all are valid")]
    except SettingsInvalid as invalid:
        before = [
            fault("settings", problem, "mend this setting: docs/operating.md has all") for problem in invalid.problems
        ]
        groups = _without_settings()
    # Each in a loop of its own: one that computes for seconds must not make the database of another seem to be away.
    results = await asyncio.gather(*(asyncio.to_thread(asyncio.run, _bounded(*group)) for group in groups))
    return before + [finding for findings in results for finding in findings]


def _groups(ours: "Settings") -> list[Group]:
    from cli.checks import database, deployment, providers, secrets, storage, temporal, workers

    return [
        ("database", lambda: database.check(ours.database_url.get_secret_value())),
        ("master secret", lambda: secrets.check(ours)),
        ("temporal", lambda: temporal.check(ours)),
        ("reported faults", lambda: workers.check(ours)),
        ("storage", lambda: storage.check(ours)),
        ("catalog", lambda: providers.check(ours)),
        ("mail", lambda: deployment.check_mail(ours)),
        ("public URL", lambda: deployment.check_address(ours)),
        ("traces", deployment.check_traces),
        ("state folder", lambda: deployment.check_disk(ours)),
    ]


def _without_settings() -> list[Group]:
    """Of what needs no settings but the database's URL."""
    from cli.checks import database

    try:
        url = environment.database_url()
    except SettingsInvalid:
        return []
    return [("database", lambda: database.check(url))]


async def _bounded(name: str, check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    """A check that does not end, or fails, is a fault itself: the others go on."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await check()
    except TimeoutError:
        remedy = "see that it runs, what is between it and this machine, and the load here; then try again"
        return [fault(name, f"no answer within {TIMEOUT_SECONDS:.0f} s", remedy)]
    except Exception as error:  # its text may quote a secret
        return [fault(name, f"the check itself failed ({type(error).__name__})", "report this fault")]


def _print(findings: list[Finding], *, well: bool) -> None:
    print_table(("check", "", "what"), [(one.check, one.level.value, one.what) for one in findings])
    ailing = [one for one in findings if one.level is not Level.OK]
    if ailing:
        say("")
        for (level, remedy), checks in _by_remedy(ailing).items():
            say_folded(f"{level.value}, {', '.join(checks)}: {remedy}")
    say("")
    warnings = len([one for one in findings if one.level is Level.WARN])
    faults = len(ailing) - warnings
    say(
        f"{len(findings)} checks, {counted(faults, 'fault')}, {counted(warnings, 'warning')}"
        + (": all is well" if well and not ailing else "")
    )


def _by_remedy(ailing: list[Finding]) -> dict[tuple[Level, str], dict[str, None]]:
    """Return the names of the checks that want the same done, in their order."""
    remedies: dict[tuple[Level, str], dict[str, None]] = {}
    for one in ailing:
        remedies.setdefault((one.level, one.remedy), {})[one.check] = None
    return remedies
