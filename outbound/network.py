"""Connections to callers' hosts: a name is looked up once, each of its addresses is judged, and one of these is used.

The rule is applied where the connection is made, so no second look-up can give another address than the judged one.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpcore2

from outbound.addresses import Address, Network, literal, may_reach

Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]
MAX_ADDRESSES = 4
"""So many addresses of a name are tried."""
_LOOK_UPS = 256
"""At a time: more than a process makes requests to callers' URLs. A look-up outlives its request, for as long as name
servers are waited for: with few threads, one account's slow names would be in front of everybody else's.
"""


class AddressRefused(httpcore2.ConnectError):
    """An address is not public, or there is none."""


class SystemResolver:
    """Looks names up as this machine does, in threads of its own: a slow name server delays nobody else's look-ups."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="outbound-names")

    async def __call__(self, host: str, port: int) -> list[Address]:
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(self._threads, _look_up, host, port)
        return list(dict.fromkeys(address for one in addresses if (address := literal(one)) is not None))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    try:
        return [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Makes TCP connections to judged addresses, and no others. TLS goes on with the name."""

    def __init__(self, resolve: Resolver, *, loopback: bool = False, denied: Iterable[Network] = ()) -> None:
        self._resolve = resolve
        self._loopback, self._denied = loopback, tuple(denied)
        self._sockets = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                return await self._connected(await self._judged(host, port), port)
        except TimeoutError:
            raise httpcore2.ConnectTimeout from None

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's signature
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise AddressRefused

    async def _connected(self, addresses: Sequence[Address], port: int) -> httpcore2.AsyncNetworkStream:
        for address in addresses[:MAX_ADDRESSES]:
            try:
                return await self._sockets.connect_tcp(str(address), port)
            except httpcore2.ConnectError:
                continue
        raise AddressRefused

    async def _judged(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of the host. Raises `AddressRefused` if one of them is not public: all are refused."""
        address = literal(host)
        addresses = [address] if address is not None else await self._resolve(host, port)
        if not addresses or not all(may_reach(one, loopback=self._loopback, denied=self._denied) for one in addresses):
            raise AddressRefused
        return addresses
