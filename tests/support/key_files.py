"""Key files of service accounts whose tokens a double mints."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def key_file(url: str) -> dict[str, str]:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    known = {"type": "service_account", "project_id": "of-the-key", "private_key_id": "k", "private_key": key.decode()}
    return known | {"client_email": "me@of-the-key.test", "token_uri": f"{url}/token"}
