"""An account with something of everything, whose names are as long as they may be; and the addresses of its pages."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from tests.browser.conftest import Member
from tests.support.stack import eventually
from web.visit import Page

LONG = "A text of words that are long and of one_word_without_any_end_" + "x" * 200
NAME = ("A name of words, and of one_word_without_any_end_" + "y" * 100)[:100]
"""Most names end there. They lie in the clear, as titles do not: those have other words."""
TITLE = ("A title of words, and of another_word_without_any_end_" + "z" * 100)[:100]
SCOPES = ["chat", "models", "media", "billing", "webhooks", "share", "keys"]
LIMITS = {"credits_day": 999_999_999_999, "requests": 60}
DOCS = {"topic": "concepts", "tag": "keys", "decision": "0040-docs-are-pages"}
"""Pages of the guide; `test_docs.py` opens all others."""
MESSAGES = [
    {"role": "user", "content": LONG},
    {"role": "assistant", "content": f"# {LONG}\n\n```python\nprint({'1' * 300})\n```", "model": "demo-chat"},
]


def long_email() -> str:
    """Return an address of 200 characters."""
    labels = ".".join("b" * 30 for _ in range(4))
    return f"{uuid.uuid4().hex}{'a' * 32}@{labels}.example.com"


async def fill(member: Member) -> dict[str, str]:
    """Make things, and return the parameter of each path that shows one."""
    purge = await member.post("/api/chat/purge/", {"confirm": "erase"})
    await ended(member, f"/api/chat/purge/{purge['purge_id']}/", "completed")
    key = await member.post("/api/chat/keys/", {"name": NAME, "scopes": SCOPES, "limits": LIMITS})
    revoked = await member.post("/api/chat/keys/", {"name": "revoked", "scopes": ["chat"]})
    await member.api.post(f"/api/chat/keys/{revoked['id']}/revoke/")
    await called(member, key["key"])
    charges = await member.api.get("/api/billing/charges/")
    endpoint = await member.post("/api/webhooks/", {"url": f"http://127.0.0.1:1/{'x' * 180}", "description": NAME})
    delivery = await member.post(f"/api/webhooks/{endpoint['id']}/test/", None)
    job = await member.post("/api/media/image/", {"model": "demo-image", "prompt": LONG})
    await ended(member, f"/api/media/jobs/{job['job_uuid']}/", "succeeded")
    shared = await member.post("/api/chat/share/", {"messages": MESSAGES, "title": TITLE})
    chat = await member.post("/api/chat/conversations/", {"messages": MESSAGES, "title": TITLE})
    return {
        "purge_id": purge["purge_id"],
        "key_id": key["id"],
        "model_id": "demo-chat",
        "charge_id": charges.json()["data"][0]["id"],
        "endpoint_id": endpoint["id"],
        "delivery_id": delivery["id"],
        "job_id": job["job_uuid"],
        "slug": shared["slug"],
        "conversation_id": chat["id"],
        **DOCS,
    }


async def called(member: Member, token: str) -> None:
    call: dict[str, Any] = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello!"}]}
    headers = {"authorization": f"Bearer {token}"}
    answer = await member.api.post("/v1/chat/completions", json=call, headers=headers)
    assert answer.is_success, answer.text


async def ended(member: Member, path: str, status: str) -> None:
    async def there() -> bool:
        return bool((await member.api.get(path)).json()["status"] == status)

    assert await eventually(there, 60), (await member.api.get(path)).text


def address(page: Page, parameters: Mapping[str, str]) -> str:
    """Return where a page is. Raises `AssertionError` for a parameter of which `fill` makes nothing."""
    path = re.sub(r":\w+(?=\})", "", page.path)
    unknown = set(re.findall(r"\{(\w+)\}", path)) - set(parameters)
    assert not unknown, f"{page.path}: `fill` must make something for {unknown}"
    return path.format_map(parameters)
