"""The demo account: its API key, and the password of its owner."""

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from dev import probe
from dev.errors import CannotStart

EMAIL = "demo@yout.local"
Errand = Callable[[str, tuple[str, ...]], Awaitable[str]]
"""Runs one of our programs: what for, its command; returns its output."""


@dataclass(frozen=True, repr=False)
class Demo:
    """What `dev.json` has of the demo account."""

    key: str
    password: str


@dataclass(frozen=True)
class DemoAccount:
    """Makes what is missing or not valid any more: a new database knows neither the key nor the password."""

    api_url: str
    run: Errand
    make: tuple[str, ...]
    """The command that makes the account and prints a new key of it."""
    reset: tuple[str, ...]
    """The command that prints a link by which its password is chosen."""

    async def ready(self, known: Mapping[str, str]) -> Demo:
        """Return a key and a password that work, once the API answers. Raises `CannotStart`."""
        key, password = known.get("api_key"), known.get("password")
        # No other fault than a 401 is a reason to make another key.
        if key is None or await probe.status(f"{self.api_url}/api/chat/limit/", bearer=key) == 401:
            account = json.loads(await self.run("Making the demo account", self.make))
            key, password = str(account["api_key"]), None
        return Demo(key, password or await self._choose_password())

    async def _choose_password(self) -> str:
        link = json.loads(await self.run("Giving the demo account a password", self.reset))
        password = secrets.token_urlsafe(12)
        body = {"token": link["token"], "password": password}
        answer = await probe.post(f"{self.api_url}/api/auth/reset/confirm/", body)
        if answer is None or answer.status != 204:
            raise CannotStart(f"The demo account got no password: the API answered {answer and answer.status}.")
        return password
