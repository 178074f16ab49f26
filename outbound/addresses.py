"""Which addresses a request to a caller's URL may reach: public ones alone. Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import chain

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DENIED: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        # `is_global` alone lets some of these pass, and others in some versions of Python.
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # IPv4 within IPv6: compatible, translated (NAT64), 6to4, Teredo, SIIT. What they reach is not ours to judge.
        *("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23"),
        *("100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""Interface identifiers that have an IPv4 address behind them."""


def literal(host: str) -> Address | None:
    """Return the address that `host` is in its usual form, or None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_number(host: str) -> bool:
    """Tell whether resolvers may take the host for an IPv4 address: also `2130706433`, `0x7f.1` and `0177.0.0.1`."""
    last = host.rstrip(".").rpartition(".")[2]
    return last.isdigit() or last.lower().startswith("0x")


def may_reach(address: Address, *, loopback: bool = False, denied: Iterable[Network] = ()) -> bool:
    """Tell whether it is public, and in none of the networks `denied`. With `loopback`, this machine passes too."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        address = address.ipv4_mapped or address
    if loopback and address.is_loopback:
        return True
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv6Address) and not _is_plain(address):
        return False
    return not any(_within(address, network) for network in chain(DENIED, denied))


def _is_plain(address: IPv6Address) -> bool:
    return address in _GLOBAL_UNICAST and (int(address) >> 32) & 0xFFFF_FFFF not in _ISATAP


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
