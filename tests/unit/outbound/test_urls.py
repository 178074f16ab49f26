"""Which URLs of callers may be requested, by their text."""

import pytest

from outbound.errors import UrlRefused
from outbound.urls import Target, target

REFUSED = (
    *("", "example.com", "//example.com/x", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com:70/_x"),
    *("javascript:alert(1)", "unix:///var/run/docker.sock", "data:text/plain,x", "HTTPS:example.com", "https://"),
    *("http://example.com/hook", "http://example.com:443/", "https://example.com:6379/", "https://example.com:80/"),
    *("https://example.com:22/", "https://example.com:0/", "https://example.com:99999/", "https://example.com:x/"),
    *("https://user@example.com/", "https://user:pass@example.com/", "https://@example.com/", "https://a@b@c.example/"),
    *("https://example.com#@127.0.0.1/", "https://example.com/#part", "https://example.com#", "https://1.1.1.1\\@x/"),
    *(
        "https://example.com\\.evil.example/",
        "https://exa mple.com/",
        "https://example.com/\r\nx: y",
        "\thttps://a.example/",
    ),
    *("https://localhost/", "https://a.localhost/", "https://printer.local/", "https://metadata.google.internal/x"),
    *(
        "https://localhost./",
        "https://example.com./",
        "https://intranet/",
        "https://.example.com/",
        "https://-a.example/",
    ),
    *("https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/"),
    *("https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.1./", "https://0/", "https://127.0.0.0x1/"),
    *("https://169.254.169.254/latest/meta-data/", "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/"),
    *("https://[::ffff:7f00:1]/", "https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[::127.0.0.1]/"),
    *("https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[2001:0:7f00:1::]/", "https://[fec0::1]/"),
    *("https://[::1/", "https://[1.1.1.1]/", "https://1.1.1.1.1/", "https://127%2e0%2e0%2e1/", "https://%6c%6f/"),
    *(
        "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
        "https://127。0。0。1/",
        "https://ⓔxample.com/",
        "https://ex\u00adample.com/",
    ),
    "https://example.com,evil.example/",
    "https://example.com/" + "a" * 2048,
    "https://" + "a" * 64 + ".example/",
)
TAKEN = {
    "https://example.com/hook?a=b@c": Target("https", "example.com", 443, b"/hook?a=b@c"),
    "HTTPS://Example.COM": Target("https", "example.com", 443, b"/"),
    "https://example.com:8443/x": Target("https", "example.com", 8443, b"/x"),
    "https://example.com:443/x": Target("https", "example.com", 443, b"/x"),
    "https://bücher.example/ä": Target("https", "xn--bcher-kva.example", 443, b"/%C3%A4"),
    "https://1.1.1.1/": Target("https", "1.1.1.1", 443, b"/"),
    "https://[2606:4700:4700::1111]:8443/": Target("https", "2606:4700:4700::1111", 8443, b"/"),
}


@pytest.mark.parametrize("url", REFUSED)
def test_it_is_refused_with_the_one_text(url: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        target(url)
    assert str(refused.value) == UrlRefused.TEXT


@pytest.mark.parametrize(("url", "expected"), TAKEN.items())
def test_it_is_taken(url: str, expected: Target) -> None:
    assert target(url) == expected


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/x", "http://localhost/x", "https://[::1]:6379/", "http://a.localhost:1/"]
)
def test_for_development_this_machine_passes(url: str) -> None:
    assert target(url, loopback=True).host in ("127.0.0.1", "localhost", "::1", "a.localhost")
    with pytest.raises(UrlRefused):
        target(url)


@pytest.mark.parametrize(
    "url", ["http://example.com/", "http://10.0.0.1/", "https://a@127.0.0.1/", "https://192.168.0.1/"]
)
def test_for_development_nothing_else_does(url: str) -> None:
    with pytest.raises(UrlRefused):
        target(url, loopback=True)


def test_the_host_header_names_a_port_that_is_not_the_usual_one() -> None:
    assert target("https://example.com/").authority == "example.com"
    assert target("https://[2606:4700::1]:8443/").authority == "[2606:4700::1]:8443"
