"""Help says whole sentences, for each command of `yout` and what is below it."""

from collections.abc import Iterator

import click
from click.testing import CliRunner

from cli.command import COMMANDS, yout


def groups() -> Iterator[tuple[str, click.Group]]:
    context = click.Context(yout)
    for name in COMMANDS:
        command = yout.get_command(context, name)
        if isinstance(command, click.Group):
            yield name, command


def test_no_list_of_commands_has_half_a_sentence() -> None:
    named = dict(groups())
    assert {"jobs", "secrets", "usage"} <= set(named)
    for name in named:
        listed = CliRunner().invoke(yout, [name, "--help"]).stdout.partition("Commands:")[2]
        assert listed
        assert "..." not in listed, name


def test_the_help_names_every_exit_code() -> None:
    text = " ".join(CliRunner().invoke(yout, ["--help"]).stdout.split())
    assert all(f"{code}: it " in text for code in (0, 1, 2, 3))
