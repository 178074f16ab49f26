"""Where a request of fal is: by the addresses of its answer, at the provider alone."""

from typing import Any

import pytest

from domain.errors import AdapterFault
from providers.fal.addresses import Addresses

BASE = "https://queue.fal.run"
ID = "764cabcf-b745-4b3e-ae38-1200304cf45b"
REGULAR = f"/fal-ai/flux/requests/{ID}"


def answer(result: str, status: str | None = None, cancel: str | None = None, **more: Any) -> dict[str, Any]:
    urls = {
        "response_url": result,
        "status_url": status or f"{result}/status",
        "cancel_url": cancel or f"{result}/cancel",
    }
    return {"request_id": ID, "status": "IN_QUEUE"} | urls | more


@pytest.mark.parametrize(
    ("given", "model", "job_id"),
    [
        (answer(f"{BASE}{REGULAR}"), "fal-ai/flux/dev", REGULAR),
        (answer(f"{BASE}/other/path/{ID}"), "fal-ai/flux/dev", f"/other/path/{ID}"),
        (
            answer(f"{BASE}{REGULAR}?key=SECRET", f"{BASE}{REGULAR}/status?key=SECRET", f"{BASE}{REGULAR}/cancel"),
            "x/y",
            REGULAR,
        ),
        (answer(f"https://evil.test{REGULAR}"), "fal-ai/flux/dev", REGULAR),
        (answer(f"{BASE}.evil.test{REGULAR}"), "fal-ai/flux/dev", REGULAR),
        (answer(f"{BASE}@evil.test{REGULAR}"), "fal-ai/flux/dev", REGULAR),
        (answer(f"{BASE}/fal-ai/../../x"), "fal-ai/flux/dev", REGULAR),
        ({"request_id": ID}, "fal-ai/flux/dev/deep", REGULAR),
        ({"request_id": ID, "status_url": 5}, "workflows/me/mine/x", f"/workflows/me/mine/requests/{ID}"),
        (
            answer(f"{BASE}/a/b/requests/1/result", f"{BASE}/a/b/requests/1", f"{BASE}/a/b/requests/1/cancel"),
            "a/b",
            "/a/b/requests/1/result|/a/b/requests/1|/a/b/requests/1/cancel",
        ),
    ],
)
def test_addresses_are_those_of_the_answer(given: dict[str, Any], model: str, job_id: str) -> None:
    addresses = Addresses.answered(given, BASE, model)
    assert addresses.job_id == job_id
    assert Addresses.read(job_id) == addresses


@pytest.mark.parametrize("id_", [None, 7, "", "../x", "a" * 101, "a b", "é"])
def test_an_answer_without_an_id_is_no_answer(id_: Any) -> None:
    with pytest.raises(AdapterFault):
        Addresses.answered({"request_id": id_}, BASE, "fal-ai/flux")
