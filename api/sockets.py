"""The sockets that an API process listens on."""

import socket

from exits import CANNOT_RUN, Failure

EVERY_ADDRESS = frozenset({"::", "[::]"})
"""Hosts that mean both IPv6 and IPv4."""


def both_families(port: int) -> socket.socket:
    """Of `::` an event loop would take IPv6 alone."""
    listening = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listening.bind(("::", port))
    return listening


def listening(host: str, port: int) -> list[socket.socket]:
    """Return what is bound before anything else is opened. Raises `Failure` for a port that is taken."""
    try:
        if host in EVERY_ADDRESS:
            return [both_families(port)]
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        return [listening]
    except OSError as error:
        remedy = "end what listens there, or set YOUT_HOST and YOUT_PORT"
        raise Failure(f"the API cannot listen at {host}:{port} ({error.strerror}): {remedy}", CANNOT_RUN) from None
