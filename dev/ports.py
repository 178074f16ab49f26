"""TCP ports: finds free ones, and names the process that uses one."""

import asyncio
import errno
import random
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain, islice, repeat
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST = 15_000
LISTENING = "0A"


def free() -> int:
    """Return a port without a listener, below the range that the kernel uses for outgoing connections.

    In that range, a client that retries a port without a listener may connect to itself. It then holds the port, and
    the server cannot bind it again. A process is given no port twice, until all of `SPAN` were given: between this
    call and the start of its server a port looks free.
    """
    for port in islice(CANDIDATES, 200):
        if available(LOOPBACK, port):
            return port
    with socket.socket() as any_port:
        any_port.bind((LOOPBACK, 0))
        return int(any_port.getsockname()[1])


def available(host: str, port: int) -> bool:
    """Tell whether the port is free to listen on. Raises OSError if this machine cannot listen on the host."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: old connections may linger
        try:
            listener.bind(address)
            listener.listen()
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                return False
            raise
    return True


async def taken(wanted: Mapping[str, tuple[str, int]]) -> list[str]:
    """Return a sentence for each port that is taken. `wanted` has the host and port of each setting."""
    settings: dict[int, str] = {}
    sentences = []
    for setting, (host, port) in wanted.items():
        if port in settings:
            sentences.append(f"{setting} and {settings[port]} are both {port}: give one of them another port.")
        elif (problem := await _problem(host, port)) is not None:
            sentences.append(problem + _proposal(setting, host, port))
        settings[port] = setting
    return sentences


async def _problem(host: str, port: int) -> str | None:
    for _ in range(2):
        try:
            if available(host, port):
                return None
        except OSError as problem:
            return f"Port {port} on {host!r} cannot be used: {problem.strerror}."
        await asyncio.sleep(0.3)  # its last user may be ending
    by = holder(host, port)
    return f"Port {port} is taken{f' by {by}' if by else ''}."


def _proposal(setting: str, host: str, port: int) -> str:
    """Propose the next port that is free. Empty if no port of this host can be used."""
    for other in (*range(port + 1, min(port + 20, 65_536)), free()):
        with suppress(OSError):
            if available(host, other):
                return f" Set {setting} to another one, such as {setting}={other}."
    return ""


def holder(host: str, port: int) -> str | None:
    """Name the process that is in the way, such as `python3, pid 4711`, or None if this user may not see it."""
    sockets = {f"socket:[{inode}]" for inode in _listening(host, port)}
    if not sockets:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(fd.readlink()) in sockets for fd in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()}, pid {process.name}"
    return None


def _listening(host: str, port: int) -> Iterator[str]:
    """Yield the sockets that listen on the port, at this address or at all. At another address they are in no way."""
    ours = _plain(ip_address(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]))
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                at, _, number = fields[1].rpartition(":")
                if fields[3] != LISTENING or int(number, 16) != port:
                    continue
                words = (at[start : start + 8] for start in range(0, len(at), 8))  # numbers of this machine
                theirs = _plain(ip_address(b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)))
                if ours == theirs or ours.is_unspecified or theirs.is_unspecified:
                    yield fields[9]


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _first_outgoing() -> int:
    with suppress(OSError, ValueError):
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return 32_768


def shuffled(span: Sequence[int]) -> Iterator[int]:
    """Yield all of them in random order, again and again. Threads may share the iterator."""
    sample = random.SystemRandom().sample  # tests may seed `random`
    return chain.from_iterable(map(sample, repeat(span), repeat(len(span))))


SPAN = range(LOWEST, max(_first_outgoing(), LOWEST + 1))
CANDIDATES = shuffled(SPAN)
