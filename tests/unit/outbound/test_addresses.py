"""Which addresses may be reached: a table of every form that hides a private one."""

from ipaddress import ip_address, ip_network

import pytest

from outbound.addresses import is_number, literal, may_reach

REFUSED = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.1.2.3", "169.254.169.254", "172.16.0.1"),
    *("172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1"),
    *("198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1"),
    *("100::1", "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::"),
    *("2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "febf::1"),
    *("fec0::1", "ff02::1", "ff0e::1", "4000::1", "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1"),
    "2606:4700:4700::1111%1",
)
PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_public_is_refused(text: str) -> None:
    assert not may_reach(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public_may_be_reached(text: str) -> None:
    assert may_reach(ip_address(text))


@pytest.mark.parametrize("text", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_passes_when_it_is_allowed(text: str) -> None:
    assert may_reach(ip_address(text), loopback=True)


@pytest.mark.parametrize("text", ["10.0.0.1", "169.254.169.254", "0.0.0.0", "::", "::127.0.0.1", "64:ff9b::7f00:1"])
def test_nothing_else_passes_with_loopback(text: str) -> None:
    assert not may_reach(ip_address(text), loopback=True)


def test_an_operators_own_network_is_refused() -> None:
    own = [ip_network("8.8.8.0/24"), ip_network("2606:4700::/32")]
    assert not may_reach(ip_address("8.8.8.8"), denied=own)
    assert not may_reach(ip_address("2606:4700::1"), denied=own)
    assert may_reach(ip_address("1.1.1.1"), denied=own)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1.", "a.0x1"])
def test_a_host_that_resolvers_take_for_a_number_is_one(host: str) -> None:
    assert is_number(host)


@pytest.mark.parametrize("host", ["example.com", "1.example.com", "0x7f.example", "127.0.0.1.example.com", "3.de"])
def test_a_name_is_not_a_number(host: str) -> None:
    assert not is_number(host)


@pytest.mark.parametrize("host", ["0177.0.0.1", "127.1", "2130706433", "example.com", "::1::"])
def test_a_literal_is_in_its_usual_form_alone(host: str) -> None:
    assert literal(host) is None
