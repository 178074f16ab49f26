"""The URL of a mail server."""

import pytest

from domain.mails import MailServer


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("smtp://mail.example", 25),
        ("smtps://u:p@mail.example", 465),
        ("smtp+starttls://u:p@mail.example/", 587),
        ("smtp://u:p@127.0.0.1:1025", 1025),
    ],
)
def test_where_the_mail_server_is(url: str, port: int) -> None:
    server = MailServer.of(url)
    assert server.port == port
    assert ":p" not in repr(server)


@pytest.mark.parametrize(
    "url",
    ["", "mail.example:25", "http://mail.example", "smtp://", "smtp://h:x", "smtp://u:p@mail.example", "smtp://h/p"],
)
def test_no_mail_server(url: str) -> None:
    with pytest.raises(ValueError, match="smtps://"):
        MailServer.of(url)
