"""`yout completion`: completion of commands, options and choices in a shell."""

import click
from click.shell_completion import get_completion_class

from cli.terminal import write

VARIABLE = "_YOUT_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete `yout`, which must be on its path.

    \b
    bash: yout completion bash > ~/.local/share/bash-completion/completions/yout
    zsh:  yout completion zsh > "${fpath[1]}/_yout"
    fish: yout completion fish > ~/.config/fish/completions/yout.fish
    """
    completion_class = get_completion_class(shell)
    assert completion_class is not None  # noqa: S101  # the choices are click's
    root = context.find_root().command
    write(completion_class(root, {}, "yout", VARIABLE).source() + "\n")
