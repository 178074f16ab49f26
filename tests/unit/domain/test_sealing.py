import pytest

from domain.sealing import SealBroken, Wrapping, seal, unseal
from domain.secrets import Purpose, Secrets

KEY, NONCE = Secrets("m" * 32).derive(Purpose.DATA_KEYS).current, bytes(12)


def test_what_is_sealed_opens_in_its_place_alone() -> None:
    sealed = seal(KEY, b"a prompt", aad="job_inputs|1|1", nonce=NONCE)
    assert b"prompt" not in sealed
    assert unseal(KEY, sealed, aad="job_inputs|1|1") == b"a prompt"
    with pytest.raises(SealBroken):
        unseal(KEY, sealed, aad="job_inputs|2|1")
    with pytest.raises(SealBroken):
        unseal(Secrets("m" * 32).derive(Purpose.SIGNED_URLS).current, sealed, aad="job_inputs|1|1")
    with pytest.raises(SealBroken):
        unseal(KEY, sealed[:-1] + bytes([sealed[-1] ^ 1]), aad="job_inputs|1|1")


def test_a_rotated_master_secret_still_opens_what_the_old_one_wrapped() -> None:
    old = Wrapping.of("old" * 12)
    wrapped = old.wrap(KEY, aad="p", nonce=NONCE)
    assert Wrapping.of("new" * 12, ["old" * 12]).unwrap(wrapped, aad="p") == KEY
    with pytest.raises(SealBroken):
        Wrapping.of("new" * 12).unwrap(wrapped, aad="p")
    assert "old" not in repr(old)
