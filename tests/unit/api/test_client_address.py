"""Who a client is: the peer, unless a trusted proxy says something else. Nobody else is believed."""

import pytest
from structlog.testing import capture_logs

from api.client_address import ClientAddresses, grouped
from settings.fields import networks

TRUSTED = networks("10.0.0.0/8, 192.0.2.7, fd00::/8")


def client(peer: str | None, *forwarded: str, trusted: bool = True) -> str:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"headers": headers, "client": None if peer is None else (peer, 1)}
    return str(ClientAddresses(TRUSTED if trusted else ()).of(scope))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.1", (), "198.51.100.1"),
        ("198.51.100.1", ("203.0.113.9",), "198.51.100.1"),  # no proxy of ours: it may say what it likes
        ("10.1.1.1", ("203.0.113.9",), "203.0.113.9"),
        ("10.1.1.1", ("6.6.6.6, 203.0.113.9",), "203.0.113.9"),  # what came with the request was written by the client
        ("10.1.1.1", ("6.6.6.6, 203.0.113.9, 10.2.2.2",), "203.0.113.9"),
        ("10.1.1.1", ("6.6.6.6", "203.0.113.9"), "203.0.113.9"),
        ("10.1.1.1", ("10.3.3.3, 10.2.2.2",), "10.3.3.3"),
        ("10.1.1.1", ("6.6.6.6, nonsense",), "10.1.1.1"),
        ("10.1.1.1", ("6.6.6.6, nonsense, 10.2.2.2",), "10.2.2.2"),
        ("10.1.1.1", ("",), "10.1.1.1"),
        ("10.1.1.1", ("203.0.113.9:4711",), "203.0.113.9"),
        ("10.1.1.1", ("[2001:db8::5]:4711",), "2001:db8::5"),
        ("10.1.1.1", ("::ffff:203.0.113.9",), "203.0.113.9"),
        ("::ffff:10.1.1.1", ("203.0.113.9",), "203.0.113.9"),
        ("fd00::1%eth0", ("203.0.113.9",), "203.0.113.9"),
        ("192.0.2.7", ("203.0.113.9",), "203.0.113.9"),
        (None, ("203.0.113.9",), "0.0.0.0"),  # nobody's address
    ],
)
def test_the_address_of_a_client(peer: str | None, forwarded: tuple[str, ...], address: str) -> None:
    assert client(peer, *forwarded) == address


def test_a_proxy_that_is_not_trusted_is_reported_once_without_addresses() -> None:
    addresses = ClientAddresses(networks("192.0.2.7"))
    forwarded = [(b"x-forwarded-for", b"203.0.113.9")]
    with capture_logs() as logs:
        for peer, headers in (("198.51.100.1", []), ("10.1.1.1", []), ("8.8.8.8", forwarded), ("192.0.2.7", forwarded)):
            addresses.of({"headers": headers, "client": (peer, 1)})
        assert logs == []
        for _ in range(3):
            assert str(addresses.of({"headers": forwarded, "client": ("10.1.1.1", 1)})) == "10.1.1.1"
    assert [line["remedy"] for line in logs] == ["name it in YOUT_TRUSTED_PROXIES"]
    assert not any(peer in str(logs) for peer in ("10.1.1.1", "203.0.113.9"))


def test_without_trusted_proxies_the_header_is_not_read() -> None:
    assert client("10.1.1.1", "203.0.113.9", trusted=False) == "10.1.1.1"


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_what_counts_as_one_client(peer: str, network: str) -> None:
    addresses = ClientAddresses()
    scope = {"headers": [], "client": (peer, 1)}
    assert addresses.network_of(scope) == grouped(addresses.of(scope)) == network


@pytest.mark.parametrize("written", ["10.0.0.1/8", "somewhere", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"network|appear|host bits"):
        networks(written)
