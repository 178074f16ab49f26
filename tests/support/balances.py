"""What an account has by its own API: credits that it may spend, and credits that are held."""

import httpx2
from openai import OpenAI

PATH = "/api/chat/limit/"


def by_sdk(client: OpenAI) -> tuple[int, int]:
    balances = client.get(str(client.base_url).replace("/v1/", PATH), cast_to=dict[str, int])
    return balances["balance"], balances["held"]


async def by_http(client: httpx2.AsyncClient) -> tuple[int, int]:
    balances = (await client.get(PATH)).json()
    return balances["balance"], balances["held"]
