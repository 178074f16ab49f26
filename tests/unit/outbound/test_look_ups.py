"""Names that nobody answers for delay no other look-up."""

import asyncio
import threading
from ipaddress import ip_address

import pytest

import outbound.network
from outbound.network import SystemResolver

ACCOUNT_WIDE = 64
"""Attempts of one account at a time, to all its endpoints."""


async def test_slow_names_of_one_account_delay_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def look_up(host: str, _port: int) -> list[str]:
        if host.startswith("slow"):
            answered.wait(30)
            return []
        return ["192.0.2.1"]

    monkeypatch.setattr(outbound.network, "_look_up", look_up)
    names = SystemResolver()
    slow = [asyncio.create_task(names(f"slow{number}.example", 443)) for number in range(ACCOUNT_WIDE)]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            assert await names("quick.example", 443) == [ip_address("192.0.2.1")]
        assert not any(task.done() for task in slow)
    finally:
        answered.set()
        await asyncio.gather(*slow)
        names.close()
