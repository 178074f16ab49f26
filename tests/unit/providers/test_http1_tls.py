"""TLS: the certificate of a provider is verified, always."""

import pytest

from domain.errors import UpstreamError
from providers.base import UpstreamRequest
from providers.http1 import Http1Transport
from tests.support.certificates import Identity, self_signed
from tests.support.doubles.raw_server import Visit, answer, serving
from tests.support.doubles.upstream_calls import collected, keep_answering


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return self_signed(tmp_path_factory.mktemp("tls"))


async def test_a_certificate_that_is_trusted(identity: Identity) -> None:
    transport = Http1Transport(max_connections=2, tls=identity.trusting)
    async with serving(keep_answering, host="localhost", tls=identity.server) as server:
        for _ in range(3):
            sink = await collected(transport, UpstreamRequest(server.url("localhost", "https"), {}, bytes(1_000_000)))
            assert (sink.error, sink.body) == (None, b"hello")
        assert server.visits == 1
        await transport.close()


@pytest.mark.parametrize("name", ["nobody signed", "another name", "no TLS"])
async def test_a_certificate_that_is_not(identity: Identity, name: str) -> None:
    transport = Http1Transport(max_connections=2, tls=None if name == "nobody signed" else identity.trusting)
    plain = name == "no TLS"

    async def script(visit: Visit) -> None:
        await (visit.write(answer(b"hello")) if plain else keep_answering(visit))

    async with serving(script, tls=None if plain else identity.server) as server:
        host = "127.0.0.1" if name == "another name" else "localhost"
        sink = await collected(transport, UpstreamRequest(server.url(host, "https"), {}, b"SECRET"))
        assert type(sink.error) is UpstreamError
        assert server.requests == []
        await transport.close()
