"""The command `yout`. Against a running `make dev` it finds everything by itself."""

import importlib
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

import exits
from cli import terminal
from domain.version import VERSION
from exits import CANNOT_RUN, OUTPUT_CLOSED, Failure

COMMANDS = {
    "dev": ("cli.processes:dev", "Run everything here: API, worker, PostgreSQL, Temporal and its UI."),
    "api": ("cli.processes:api", "Run one API process."),
    "worker": ("cli.processes:worker", "Run one worker process."),
    "migrate": ("cli.processes:migrate", "Bring the database to this version's schema."),
    "doctor": ("cli.doctor:doctor", "Check every part that this deployment needs, and say what to do."),
    "status": ("cli.status:status", "How everything stands, on one screen."),
    "top": ("cli.status:top", "The same, live."),
    "accounts": ("cli.accounts:accounts", "Accounts and their credits."),
    "keys": ("cli.keys:keys", "API keys of accounts."),
    "holds": ("cli.holds:holds", "Credits that are set aside for calls and jobs in flight."),
    "jobs": ("cli.jobs:jobs", "Media jobs: list, show, cancel, retry, refund."),
    "outputs": ("cli.outputs:outputs", "What media jobs have made, and is still in storage."),
    "shares": ("cli.shares:shares", "Pages that accounts share with everybody."),
    "webhooks": ("cli.webhooks:webhooks", "Webhook endpoints: list, show, disable; and send a delivery again."),
    "grant": ("cli.credits:grant", "Give an account credits."),
    "adjust": ("cli.credits:adjust", "Correct a balance."),
    "refund": ("cli.credits:refund", "Give back, once, what a call or job was charged."),
    "plans": ("cli.plans:plans", "Plans of accounts, and the credits they give each month."),
    "payments": ("cli.payments:payments", "What was paid, and what could not be matched to an account."),
    "usage": ("cli.usage:usage", "Calls, credits, what providers bill, and the margin."),
    "providers": ("cli.providers:providers", "How providers fare: breakers, errors, speed, and what they bill."),
    "catalog": ("cli.catalog:catalog", "Models, routes and prices."),
    "audit": ("cli.audit:audit", "Prove the ledger over one snapshot."),
    "receipts": ("cli.receipts:receipts", "Receipts of purges, and the keys that sign them."),
    "purges": ("cli.purges:purges", "How far each erasure of an account is, and which are stuck."),
    "secrets": ("cli.secrets:secrets", "Which master secret encrypts what is stored, and its rotation."),
    "completion": ("cli.completion:completion", "Print what makes a shell complete commands and options."),
    "openapi": ("cli.document:openapi", "Print the API's OpenAPI document."),
}
"""Each command: the module that holds it, its name there, and its line of help."""
_UNREADABLE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories that no argument may contain: control characters, surrogates, line and paragraph separators."""


class Commands(click.Group):
    """Imports a command's module when it runs, and turns every end of a command into an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101  # the table names commands only
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, so that none is imported for its line of help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Check every argument before it is parsed. Raises `Failure` for one that is not a line of text."""
        return super().parse_args(ctx, [_read(number, word) for number, word in enumerate(args, start=1)])

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _reader_gone():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_gone():
            return super().invoke(ctx)

    def main(  # type: ignore[override]  # it never returns
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        terminal.accept_any_text()
        extra["standalone_mode"] = False

        def command() -> int | None:
            try:
                code = super(Commands, self).main(args, prog_name or "yout", **extra)
            except click.ClickException as misused:
                misused.show()
                return misused.exit_code
            except click.Abort:
                raise KeyboardInterrupt from None
            terminal.flush()
            return code if isinstance(code, int) else 0

        sys.exit(terminal.closing(exits.run(command)))


@contextmanager
def _reader_gone() -> Iterator[None]:
    """Click ends with 1 when nobody reads the output, as for what went wrong."""
    try:
        yield
    except BrokenPipeError:
        raise Failure("", OUTPUT_CLOSED) from None


def _read(number: int, word: str) -> str:
    """Decode an argument as UTF-8, whatever the terminal's encoding is."""
    try:
        text = os.fsencode(word).decode()
    except UnicodeError:
        text = "\0"
    if any(unicodedata.category(character) in _UNREADABLE for character in text):
        raise Failure(f"argument {number} contains a line break, a control character or invalid UTF-8", CANNOT_RUN)
    return text


_HELP = f"""{__doc__}
Elsewhere it reads settings from the environment, as docs/operating.md has them.

Exit codes: 0: it is done, and what was looked at is well. {exits.REFUSED}: it was refused, and nothing has changed, or
what was looked at is not well. {CANNOT_RUN}: it could not run. {exits.UNKNOWN_OUTCOME}: it may be done or not, and the
line says how to find out. {exits.INTERRUPTED}: interrupted.
"""

yout = Commands(name="yout", help=_HELP, no_args_is_help=True)
click.version_option(VERSION, prog_name="yout", message="%(prog)s %(version)s")(yout)


def main() -> NoReturn:
    yout.main()
