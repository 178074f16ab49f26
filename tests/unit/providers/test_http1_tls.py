"""TLS: the certificate of a provider is verified, always."""

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.errors import UpstreamError
from providers.base import UpstreamRequest
from providers.http1 import Http1Transport
from tests.support.doubles.raw_server import Visit, answer, serving
from tests.support.doubles.upstream_calls import collected, keep_answering


@dataclass(frozen=True, slots=True)
class Identity:
    server: ssl.SSLContext
    trusting: ssl.SSLContext
    """Of a client that knows who signed."""


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """A server that is `localhost`, and says so with a certificate of its own making."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    written = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path: Path = folder / "server.pem"
    path.write_bytes(private + written)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return Identity(server, ssl.create_default_context(cadata=written.decode()))


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
