"""The output at the terminal."""

import json
import os
from signal import SIGTERM, Signals

from rich.console import Console
from rich.text import Text

COLOURS = {"api": "cyan", "worker": "magenta"}
WIDTH = max(map(len, COLOURS))


class Report:
    """Prints every line of the stack."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, what: str, seconds: float) -> None:
        self._print(Text(f"{what} … {seconds:.1f} s"))

    def note(self, text: str) -> None:
        self._print(Text(text))

    def warning(self, text: str) -> None:
        self._print(Text(text, style="yellow"))

    def failure(self, text: str) -> None:
        self._print(Text(text, style="bold red"))

    def line(self, name: str, text: str) -> None:
        """Print a line that a part has written."""
        prefix = (f"{name:<{WIDTH}} | ", COLOURS.get(name, ""))
        self._print(Text.assemble(prefix, Text.from_ansi(text)))

    def ready(self, addresses: dict[str, str], key: str, sign_in: str, seconds: float) -> None:
        """Print all addresses, and a command to paste."""
        width = max(map(len, addresses)) + 2
        self._print(Text(f"\nyout is up ({seconds:.1f} s)\n", style="bold green"))
        for name, address in {**addresses, "API key": key, "Sign-in": sign_in}.items():
            self._print(Text.assemble(f"  {name:<{width}}", (address, "bold")))
        self._print(Text(f"\n{curl(addresses['API'], key)}\n", style="cyan"))
        self._print(Text("Ctrl-C stops everything; what it has stored stays.\n"))

    def _print(self, text: Text) -> None:
        try:
            self._console.print(text, soft_wrap=True)  # folded lines could not be pasted
        except OSError:  # the terminal, or the reader of the pipe, has gone
            self._console = Console(quiet=True)
            os.kill(os.getpid(), SIGTERM)


def curl(api: str, key: str) -> str:
    """Return a command for a first call."""
    body = json.dumps({"model": "demo-chat", "messages": [{"role": "user", "content": "Hello!"}]})
    return (
        f"curl {api}/v1/chat/completions \\\n"
        f"  -H 'Authorization: Bearer {key}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}'"
    )


def cause(code: int) -> str:
    """Describe how a process ended, from its exit code."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
