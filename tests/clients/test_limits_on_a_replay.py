"""`x-ratelimit-*` is on every answer, a replay included."""

from tests.clients.payer import ASKED, Payer


async def test_a_replay_tells_what_is_left(payer: Payer) -> None:
    asked, named = {"model": "test-plain", **ASKED}, {"idempotency-key": "limits"}
    await payer.http.post("/v1/chat/completions", json=asked, headers=named)
    answer = await payer.http.post("/v1/chat/completions", json=asked, headers=named)
    assert answer.headers["idempotent-replayed"] == "true"
    assert "x-ratelimit-remaining-requests" in answer.headers
