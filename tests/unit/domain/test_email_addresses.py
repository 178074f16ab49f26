import pytest

from domain.email_addresses import mailbox, normalized
from domain.errors import RequestInvalid


@pytest.mark.parametrize("address", ["ann@example.com", "a+b@x", "jürgen@bücher.example", "o'hara@[10.0.0.1]"])
def test_an_address(address: str) -> None:
    assert normalized(f" {address.upper()}\n") == address.upper().lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "a b@example.com",
        "a\nb@example.com",
        "a@exam\tple.com",
        "a@b\x00",
        "a@b\x1b[31m",
        "a@b\u202e",
        "a@b\u2028c",
        "a@.b",
        "<a@b>",
        "Ann <a@b>",
        "a,b@c",
        "a@b,c@d",
        "a@b;c",
        "mailto:a@b",
        "a@b.",
        "a@b..c",
        "a@[",
        "a@b[1]",
        "a@[1][2]",
        "a@b:25",
        "a@b\uff20c",
        "a@b\uff1ac\uff02",
        "a@\udcff",
        "a" * 250 + "@b.cd",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(RequestInvalid, match="not an e-mail address"):
        normalized(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ann@\uff45xample.com", "ann@example.com"),
        ("\u03a9\u0342@example.com", "\u1ff6@example.com"),
        ("ann@EXAMP\u2112E.com", "ann@example.com"),
        ("ju\u0308rgen@bu\u0308cher.example", "jürgen@bücher.example"),
        ("ann@stra\u00dfe.example", "ann@stra\u00dfe.example"),
        ("\uff41nn@example.com", "\uff41nn@example.com"),
    ],
)
def test_an_address_has_one_spelling(text: str, address: str) -> None:
    assert normalized(text) == address == normalized(address)


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("ann@example.com", "ann@example.com"),
        ("ann+news@example.com", "ann@example.com"),
        ("a.n.n@example.com", "a.n.n@example.com"),
        ("a.n.n+x+y@gmail.com", "ann@gmail.com"),
        ("ann@googlemail.com", "ann@gmail.com"),
        ("+x@example.com", "+x@example.com"),
        ("..@gmail.com", "..@gmail.com"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@bu\u0308cher.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("\uff41nn@gmail.com", "ann@gmail.com"),
        (f"ann@{'x' * 70}.example", f"ann@{'x' * 70}.example"),
    ],
)
def test_the_mailbox_of_an_address(address: str, leads_to: str) -> None:
    assert mailbox(normalized(address)) == leads_to
