"""`YOUT_HOST=::` is every address of this machine, IPv4 too."""

import http.client
import socket
import threading

import pytest

from api.sockets import EVERY_ADDRESS, both_families
from dev import ports


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_a_listener_on_every_address_takes_both_families(address: str) -> None:
    port = ports.free()
    with both_families(port) as listening:
        listening.listen()
        with socket.create_connection((address, port), timeout=10):
            accepted, _ = listening.accept()
            assert accepted.getsockname()[1] == port
            accepted.close()


def test_the_images_health_check_reaches_it() -> None:
    """It asks `localhost`, whichever family that is."""
    port = ports.free()
    with both_families(port) as listening:
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

        serving = threading.Thread(target=answer)
        serving.start()
        client = http.client.HTTPConnection("localhost", port, timeout=10)
        client.request("GET", "/healthz")
        assert client.getresponse().status == 200
        client.close()
        serving.join()


def test_both_spellings_mean_every_address() -> None:
    assert {"::", "[::]"} == EVERY_ADDRESS
