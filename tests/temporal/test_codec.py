"""Payloads on their way to Temporal: sealed, and opened again after a rotation of keys."""

from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from activities.payloads import JobRef
from temporal.client import converter, plain_converter
from temporal.codec import ENCODING, KEY_ID, EncryptionCodec, Keyring, KeyUnknown
from tests.support.fault_lines import FaultLines
from tests.support.temporal.fakes import SENTINEL

OLD, NEW = "the old secret of this deployment", "the new secret of this deployment"


def payload(text: str = SENTINEL) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=text.encode())


async def test_what_goes_in_comes_out() -> None:
    codec = EncryptionCodec(Keyring.derived(NEW))
    sealed = await codec.encode([payload(), payload("")])
    assert all(SENTINEL.encode() not in one.SerializeToString() for one in sealed)
    assert {one.metadata["encoding"] for one in sealed} == {ENCODING}
    assert await codec.decode(sealed) == [payload(), payload("")]


async def test_the_same_payload_looks_different_each_time() -> None:
    codec = EncryptionCodec(Keyring.derived(NEW))
    once, again = await codec.encode([payload(), payload()])
    assert once.data != again.data


async def test_old_histories_open_after_a_rotation() -> None:
    (sealed,) = await EncryptionCodec(Keyring.derived(OLD)).encode([payload()])
    rotated = EncryptionCodec(Keyring.derived(NEW, [OLD]))
    assert await rotated.decode([sealed]) == [payload()]
    (anew,) = await rotated.encode([payload()])
    assert anew.metadata[KEY_ID] != sealed.metadata[KEY_ID]
    for faults in (None, FaultLines()):
        with pytest.raises(KeyUnknown) as unknown:
            await EncryptionCodec(Keyring.derived(NEW), faults).decode([sealed])
        assert unknown.value.reported == (faults is not None)


async def test_the_current_secret_may_stand_among_the_old_ones() -> None:
    keyring = Keyring.derived(NEW, [OLD, NEW])
    assert len(keyring.keys) == 2
    assert keyring.current == Keyring.derived(NEW).current


async def test_another_encoding_passes_through() -> None:
    codec = EncryptionCodec(Keyring.derived(NEW))
    assert await codec.decode([payload()]) == [payload()]


@pytest.mark.parametrize("harm", ["key id", "data", "nonce"])
async def test_what_was_tampered_with_does_not_open(harm: str) -> None:
    keyring = Keyring.derived(NEW, [OLD])
    (sealed,) = await EncryptionCodec(keyring).encode([payload()])
    if harm == "key id":
        sealed.metadata[KEY_ID] = next(name for name in keyring.keys if name != keyring.current).encode()
    else:
        at = 0 if harm == "nonce" else 20
        sealed.data = sealed.data[:at] + bytes([sealed.data[at] ^ 1]) + sealed.data[at + 1 :]
    with pytest.raises(InvalidTag):
        await EncryptionCodec(keyring).decode([sealed])


def test_the_keys_are_the_same_in_every_process_and_for_ever() -> None:
    assert Keyring.derived(OLD).current == "b720f6f6c632aa1b"


async def test_the_text_of_failures_is_sealed_too() -> None:
    failure = Failure()
    await converter(Keyring.derived(NEW)).encode_failure(ApplicationError(SENTINEL, SENTINEL), failure)
    assert SENTINEL.encode() not in failure.SerializeToString()
    assert failure.message == "Encoded failure"
    opened = await converter(Keyring.derived(NEW)).decode_failure(failure)
    assert isinstance(opened, ApplicationError)
    assert opened.message == SENTINEL


async def test_the_plain_converter_differs_in_the_sealing_only() -> None:
    job_ref = JobRef(job_id=uuid4())
    (plain,) = await plain_converter().encode([job_ref])
    (sealed,) = await converter(Keyring.derived(NEW)).encode([job_ref])
    assert (await EncryptionCodec(Keyring.derived(NEW)).decode([sealed])) == [plain]
    assert str(job_ref.job_id) in plain.data.decode()
