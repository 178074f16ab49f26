"""The address of a client: the socket's peer, or what a trusted proxy says.

An address goes into keyed hashes alone. Nothing stores or logs it.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import structlog
from starlette.types import Scope

log = structlog.get_logger(__name__)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOBODY = IPv4Address(0)
"""The peer of a socket without an address."""
_FORWARDED = b"x-forwarded-for"
_GROUP_BITS = 64
"""A client usually has all IPv6 addresses of such a network."""


class ClientAddresses:
    """Finds the address of a request's client. `trusted` has the networks of the operator's proxies."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted)
        self._warned = False

    def of(self, scope: Scope) -> Address:
        """Return the client's address: the rightmost of `X-Forwarded-For` that is no trusted proxy.

        The header of a peer that is not trusted is not read. What is left of an address that cannot be read is not
        believed: then the client is the proxy that sent it.
        """
        peer = scope.get("client")
        address = (peer and _read(str(peer[0]))) or _NOBODY
        if not self._trusts(address):
            self._warn_of_proxy(address, scope["headers"])
            return address
        for written in _forwarded(scope["headers"]):
            before = _read(written)
            if before is None:
                break
            address = before
            if not self._trusts(address):
                break
        return address

    def network_of(self, scope: Scope) -> str:
        """Return what counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
        return grouped(self.of(scope))

    def _warn_of_proxy(self, peer: Address, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Say once that all clients of a proxy count as one: who guesses passwords uses up everybody's tries."""
        if not self._warned and peer.is_private and any(name == _FORWARDED for name, _ in headers):
            self._warned = True
            log.warning("a proxy is not trusted: its clients share limits", remedy="name it in YOUT_TRUSTED_PROXIES")

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def grouped(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((int(address), _GROUP_BITS), strict=False))


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[str]:
    """Give the entries of all `X-Forwarded-For` headers, the last one first."""
    values = [value for name, value in headers if name == _FORWARDED]
    for value in reversed(values):
        yield from reversed(value.decode("latin-1").split(","))


def _read(written: str) -> Address | None:
    """Read an address with or without a port. An IPv4 address that is written as IPv6 is the IPv4 address."""
    text = written.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
