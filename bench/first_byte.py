"""What a stream takes from its request to its first byte, alone: in CPU and in time."""

import asyncio
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from bench import process
from bench.load import requests
from bench.measure import Server
from bench.plan import Plan
from dev.errors import CannotStart

QUIET = 0.03
"""Seconds after the first byte until everything that it caused is done, and before the next request."""
MODEL = "pace-150-1"
"""Sends its first chunks at once and then nothing for longer than `QUIET`."""
TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class FirstByte:
    """The medians over streams that came one after the other."""

    cpu: float
    """Microseconds of the server."""
    postgres_cpu: float
    milliseconds: float


async def first_byte(server: Server, seconds: float) -> FirstByte:
    plan = Plan(port=server.port, token=server.token, model=server.prefix + MODEL, connections=1, stream=True)
    (before, after), *_ = requests(plan)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    samples: list[FirstByte] = []
    try:
        deadline = perf_counter() + seconds
        while perf_counter() < deadline or not samples:
            await asyncio.sleep(QUIET)
            request = before + b"%010d" % len(samples) + after
            async with asyncio.timeout(TIMEOUT):
                samples.append(await _sample(server, reader, writer, request))
                await reader.readuntil(b"\r\n0\r\n\r\n")
    except (OSError, EOFError, TimeoutError) as problem:
        raise CannotStart(f"{server.name} ended a stream early: {problem}") from None
    finally:
        writer.close()
    return FirstByte(
        cpu=median(sample.cpu for sample in samples),
        postgres_cpu=median(sample.postgres_cpu for sample in samples),
        milliseconds=median(sample.milliseconds for sample in samples),
    )


async def _sample(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> FirstByte:
    cpu, postgres = _running(server)
    began = perf_counter()
    writer.write(request)
    head = await reader.readuntil(b"data: ")
    milliseconds = (perf_counter() - began) * 1000
    if b" 200 " not in head[:16]:
        raise CannotStart(f"{server.name} answered {head[:200]!r}")
    await asyncio.sleep(QUIET)
    cpu_then, postgres_then = _running(server)
    return FirstByte((cpu_then - cpu) * 1e6, (postgres_then - postgres) * 1e6, milliseconds)


def _running(server: Server) -> tuple[float, float]:
    postgres = process.running_seconds(server.postgres) if server.postgres else 0.0
    return process.running_seconds(server.pid), postgres
