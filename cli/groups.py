"""Commands that have commands: `yout jobs` and its like."""

import click

_WHOLE = 10_000
"""Characters: click cuts what is longer."""


class Group(click.Group):
    """Lists each command with the whole first sentence of its help: half of one says nothing."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        named = [(name, command) for name in self.list_commands(ctx) if (command := self.get_command(ctx, name))]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(_WHOLE)) for name, command in named])
