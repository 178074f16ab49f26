"""Who is in the way of a port, and which port is free instead."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress

from dev import ports

LISTENS = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listens", flush=True)
sys.stdin.read()
"""


def test_a_process_at_another_address_is_in_nobodys_way() -> None:
    port = ports.free()
    command = [sys.executable, "-c", LISTENS, "127.0.0.2", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "listens\n"
        assert ports.holder("127.0.0.1", port) is None
        with socket.create_server(("127.0.0.1", port)):
            mine, theirs = ports.holder("127.0.0.1", port) or "", ports.holder("127.0.0.2", port) or ""
            assert mine.endswith(f"pid {os.getpid()}")
            assert theirs.endswith(f"pid {other.pid}")
            assert ports.holder("0.0.0.0", port) in {mine, theirs}
        other.stdin.close()


def test_who_listens_at_all_addresses_is_in_everybodys_way() -> None:
    for everywhere, family in (("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)):
        port = ports.free()
        with socket.create_server((everywhere, port), family=family, dualstack_ipv6=family == socket.AF_INET6):
            assert (ports.holder("127.0.0.1", port) or "").endswith(f"pid {os.getpid()}")


async def test_the_port_that_is_named_instead_is_free() -> None:
    with ExitStack() as listening:
        port = ports.free()
        for number in (port, port + 1):
            with suppress(OSError):  # then another one has it: it is taken all the same
                listening.enter_context(socket.create_server(("127.0.0.1", number)))
        [sentence] = await ports.taken({"YOUT_PORT": ("127.0.0.1", port)})
    assert sentence.startswith(f"Port {port} is taken by ")
    assert f"YOUT_PORT={port + 1}." not in sentence
    assert "such as YOUT_PORT=" in sentence


async def test_no_other_port_is_named_for_a_host_of_another_machine() -> None:
    [sentence] = await ports.taken({"YOUT_PORT": ("192.0.2.1", 8080)})
    assert sentence == "Port 8080 on '192.0.2.1' cannot be used: Cannot assign requested address."
