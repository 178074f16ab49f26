"""The sockets that an API process listens on."""

import ctypes
import select
import socket
import struct

from exits import CANNOT_RUN, Failure

EVERY_ADDRESS = frozenset({"::", "[::]"})
"""Hosts that mean both IPv6 and IPv4."""
_ATTACH_FILTER = 26
"""`SO_ATTACH_FILTER` of Linux."""
_NO_SYN = (
    (0x30, 0, 0, 13),  # load the flags of TCP
    (0x45, 0, 1, 0x02),  # is SYN among them?
    (0x06, 0, 0, 0),  # yes: drop the packet
    (0x06, 0, 0, 0xFFFF_FFFF),
)
"""A program for the kernel's packet filter: code, jump if true, jump if false, value."""


def both_families(port: int) -> socket.socket:
    """Of `::` an event loop would take IPv6 alone."""
    listening = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listening.bind(("::", port))
    return listening


def listening_at(host: str, port: int) -> list[socket.socket]:
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


def take_no_more(listening: socket.socket) -> bool:
    """Let no new connection begin. What has begun can be accepted. Return whether the kernel does it.

    To close the socket instead resets the connections that nobody has accepted yet, and with them the requests on them.
    Whoever connects meanwhile tries again after a second, and is refused once the socket is closed.
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _NO_SYN))
    try:
        listening.setsockopt(
            socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", len(_NO_SYN), ctypes.addressof(program))
        )
    except OSError:
        return False
    return True


def any_waits(listening: socket.socket) -> bool:
    """Return whether there is a connection that nobody has accepted yet."""
    waiting = select.poll()
    waiting.register(listening, select.POLLIN)
    return bool(waiting.poll(0))
