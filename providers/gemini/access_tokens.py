"""Access tokens of a service account, for media: minted when one is needed, and kept until shortly before its end."""

import asyncio
import time
from collections.abc import Mapping

import httpx2

from domain.errors import UpstreamError
from providers import upstream_json
from providers.credentials import EARLY_SECONDS, MAX_ANSWER, ServiceAccount

SECONDS = 30.0
"""For one request to the token endpoint."""


class AccessTokens:
    """`headers` are `Credentials` of `providers.media_http`. One request serves all calls that wait for a token."""

    def __init__(self, client: httpx2.AsyncClient, account: ServiceAccount) -> None:
        self._client, self._account = client, account
        self._token = ""
        self._ends = 0.0
        self._minting = asyncio.Lock()

    async def headers(self) -> Mapping[str, str]:
        """Raises `UpstreamError`: without a token nothing was sent."""
        async with self._minting:
            if not self._token or time.time() >= self._ends:
                await self._mint()
            return {"Authorization": f"Bearer {self._token}"}

    def forget(self) -> None:
        """Have a new one minted: Google has refused this one."""
        self._token = ""

    async def _mint(self) -> None:
        request = self._account.token_request(time.time())
        try:
            answer = await self._client.post(
                request.url,
                content=request.body,
                headers=dict(request.headers),
                timeout=SECONDS,
                follow_redirects=False,
            )
        except httpx2.HTTPError:
            raise _without_token(blames_key=False) from None
        match _value(answer):
            case {"access_token": str(token), "expires_in": int() | float() as seconds} if _can_be_sent(token):
                self._token, self._ends = token, time.time() + float(seconds) - EARLY_SECONDS
            case _:
                raise _without_token(blames_key=400 <= answer.status_code < 404)


def _value(answer: httpx2.Response) -> object:
    if answer.status_code != 200 or len(answer.content) > MAX_ANSWER:
        return None
    try:
        return upstream_json.read_whole(answer.content)
    except UpstreamError:
        return None


def _can_be_sent(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable()


def _without_token(*, blames_key: bool) -> UpstreamError:
    error = UpstreamError()
    error.not_accepted, error.blames_key = True, blames_key
    return error
