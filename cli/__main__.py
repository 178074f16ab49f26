"""`python -m cli` is `yout`."""

from cli.command import main

main()
