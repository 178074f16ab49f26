"""What can go wrong with a request to a caller's URL.

`UrlRefused` has one text, whatever is wrong: the answer tells nothing about the networks of this server.
"""

from enum import StrEnum


class UrlRefused(Exception):
    """The URL, or an address of its host, may not be reached. Nothing was sent, and nothing connected."""

    TEXT = (
        "This URL cannot be used. Give an https URL of at most 2,048 characters with port 443 or 8443, without user "
        "name, password or fragment, whose host is reachable and has public addresses only."
    )

    def __init__(self) -> None:
        super().__init__(self.TEXT)


class Trouble(StrEnum):
    """Why a request that was allowed came to nothing."""

    UNREACHABLE = "unreachable"
    """The name has no address, an address is not public, or nobody accepts the connection: one word for all."""
    TLS = "tls"
    TIMEOUT = "timeout"
    BROKEN = "connection"
    """The connection broke, or what came over it is no HTTP."""


class RequestFailed(Exception):
    """There was no answer."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble


class FileUnusable(Exception):
    """A public host answered, with no file that can be used."""

    TEXT = (
        "The file behind this URL cannot be used. It must come with status 200, without a redirect, in time, within "
        "the size limit, and as a type that the field takes."
    )

    def __init__(self) -> None:
        super().__init__(self.TEXT)
