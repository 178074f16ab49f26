"""Encrypts every payload for Temporal: AES-256-GCM, with the key's id stored beside the data and authenticated."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from domain.faults import FaultLog
from domain.secrets import DerivedKeys, Purpose, Secrets, key_id

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
_NONCE = 12


class KeyUnknown(Exception):
    """A payload was encrypted with a key that this process does not have."""

    reported = False
    """Whether the operator's log has it."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The key that encrypts, and all keys that decrypt."""

    current: str = field(repr=False)
    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def derived(cls, secret: str, previous: Iterable[str] = ()) -> Self:
        """Derive the keys from master secrets. `secret` encrypts; `previous` only decrypt, after a rotation."""
        return cls.of(Secrets(secret, tuple(previous)).derive(Purpose.TEMPORAL_PAYLOADS))

    @classmethod
    def of(cls, keys: DerivedKeys) -> Self:
        return cls(key_id(keys.current), MappingProxyType({key_id(key): key for key in keys.every}))


UNKNOWN = "what a workflow has was encrypted with another master secret"
REMEDY = (
    "every process needs the same YOUT_SECRET_KEY, and the one before it in YOUT_PREVIOUS_SECRET_KEYS: set them, and "
    "start again; the workflow waits until then"
)


class EncryptionCodec(PayloadCodec):
    def __init__(self, keyring: Keyring, faults: FaultLog | None = None) -> None:
        self._faults = faults
        self._current = keyring.current.encode()
        self._ciphers = {name.encode(): AESGCM(key) for name, key in keyring.keys.items()}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._sealed(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt the payloads. Those with another encoding are returned as they are. Raises `KeyUnknown`."""
        return [self._opened(payload) for payload in payloads]

    def _sealed(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE)
        data = self._ciphers[self._current].encrypt(nonce, payload.SerializeToString(), self._current)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: self._current}, data=nonce + data)

    def _opened(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        name = payload.metadata.get(KEY_ID, b"")
        cipher = self._ciphers.get(name)
        if cipher is None:
            unknown = KeyUnknown(f"No key '{name.decode(errors='replace')[:32]}' is configured here.")
            if self._faults is not None:
                self._faults.report(UNKNOWN, where="YOUT_SECRET_KEY", remedy=REMEDY)
                unknown.reported = True
            raise unknown
        return Payload.FromString(cipher.decrypt(payload.data[:_NONCE], payload.data[_NONCE:], name))
