"""The mails that this server sends, in words. A link in one works once."""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

from domain.mails import Letter


class Letters:
    """Writes letters with links to the public address."""

    def __init__(self, public_url: str) -> None:
        self._url = public_url.rstrip("/")

    def verification(self, to: str, secret: str, lifetime: timedelta) -> Letter:
        text = (
            f"Somebody, probably you, wants to use this address at {self._url}.\n\n"
            f"To confirm that you read it, open this link within {_hours(lifetime)}:\n\n"
            f"{self.link('verify', secret)}\n\n"
            "If it was not you, do nothing: without the link, nothing happens."
        )
        return Letter("verification", to, "Confirm your e-mail address", text)

    def known(self, to: str, _: str, __: timedelta) -> Letter:
        text = (
            f"Somebody, probably you, wants to use this address for an account at {self._url}.\n\n"
            "It has an account already, and nothing was changed. Sign in with your password. If you do not know it, "
            "ask there for a new one."
        )
        return Letter("known address", to, "You have an account already", text)

    def reset(self, to: str, secret: str, lifetime: timedelta) -> Letter:
        text = (
            f"Somebody, probably you, has forgotten the password at {self._url}.\n\n"
            f"To choose a new one, open this link within {_hours(lifetime)}:\n\n"
            f"{self.link('reset', secret)}\n\n"
            "If it was not you, do nothing: your password stays as it is."
        )
        return Letter("reset", to, "Choose a new password", text)

    def new_password(self, to: str) -> Letter:
        text = (
            f"Your password at {self._url} was changed.\n\n"
            "If it was not you, ask there for a new password at once, then look through the API keys of your account, "
            "and write to the operator of that server."
        )
        return Letter("change", to, "Your password was changed", text)

    def new_address(self, to: str) -> Letter:
        """For the address before: it opens the account no more, so its owner can ask for nothing there."""
        text = (
            f"The e-mail address of your account at {self._url} was changed, from this one to another. This one does "
            "not open the account any more, and gets no further mail about it.\n\n"
            "If it was not you, somebody knows your password: write to the operator of that server at once."
        )
        return Letter("change", to, "Your e-mail address was changed", text)

    def link(self, page: str, secret: str) -> str:
        """Return the address of a page. A browser does not send what follows `#`: no log on the way has the secret."""
        return f"{self._url}/{page}#{quote(secret)}"


Writing = Callable[[str, str, timedelta], Letter]
"""Writes a letter to an address, with the secret of a link and the time that it works."""


def _hours(lifetime: timedelta) -> str:
    hours = round(lifetime.total_seconds() / 3600)
    return "an hour" if hours <= 1 else f"{hours} hours"
