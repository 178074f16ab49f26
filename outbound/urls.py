"""Which URLs of callers may be requested, by their text alone. Names are looked up when a connection is made."""

import re
from collections.abc import Iterable
from dataclasses import field

import httpx2

from domain.hosts import is_loopback
from domain.records import record
from outbound.addresses import Network, is_number, literal, may_reach
from outbound.errors import UrlRefused

MAX_LENGTH = 2048
PORTS = (443, 8443)
_ALLOWED = re.compile(r"https?://[^\s\\#@\x00-\x20\x7f]+", re.IGNORECASE)
_AT_IN_PATH = re.compile(r"https?://[^\s\\#@/?\x00-\x20\x7f]+[/?][^\s\\#\x00-\x20\x7f]*", re.IGNORECASE)
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)+")
_OF_A_NETWORK = ("localhost", "local", "internal")


@record
class Target:
    """Where a request goes."""

    scheme: str
    host: str = field(repr=False)
    """A name in ASCII, or an address without brackets."""
    port: int
    path: bytes = field(repr=False)
    """With its query."""

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = {"https": 443, "http": 80}[self.scheme]
        return host if self.port == default else f"{host}:{self.port}"


def target(url: str, *, loopback: bool = False, denied: Iterable[Network] = ()) -> Target:
    """Return what the URL names. Raises `UrlRefused`.

    With `loopback`, for development, a host that is this machine may have any port, and `http`.
    """
    if len(url) > MAX_LENGTH or not (_ALLOWED.fullmatch(url) or _AT_IN_PATH.fullmatch(url)):
        raise UrlRefused
    try:
        parsed = httpx2.URL(url)
        host = parsed.raw_host.decode("ascii").lower()
        port = {"https": 443, "http": 80}[parsed.scheme] if parsed.port is None else parsed.port
    except (httpx2.InvalidURL, ValueError, KeyError):
        raise UrlRefused from None
    here = loopback and is_loopback(host)
    if not here and (parsed.scheme != "https" or port not in PORTS or not _is_public(host, denied)):
        raise UrlRefused
    if parsed.userinfo or not 0 < port < 65536:
        raise UrlRefused
    return Target(parsed.scheme, host, port, parsed.raw_path)


def _is_public(host: str, denied: Iterable[Network]) -> bool:
    address = literal(host)
    if address is not None:
        return may_reach(address, denied=denied)
    if not _NAME.fullmatch(host) or is_number(host):
        return False
    return host.rpartition(".")[2] not in _OF_A_NETWORK
