"""A quote checks a body as the call does: what nests too deeply is the caller's fault, and no 500."""

from tests.clients.payer import Payer


async def test_a_body_that_nests_too_deeply_is_refused(payer: Payer) -> None:
    deep = "[" * 900 + "]" * 900
    body = '{"model":"test-plain","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","f":%s}]}'
    answer = await payer.http.post("/api/billing/quote/", content=body % deep)
    assert answer.status_code == 400
