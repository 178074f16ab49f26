"""What the name of a host tells. Pure."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Tell whether it is this machine, for sure."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
