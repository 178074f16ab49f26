"""Decrypts payloads for an operator, in the form in which Temporal's UI and command line ask for it."""

from dataclasses import field

import orjson
from cryptography.exceptions import InvalidTag
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payloads

from domain.errors import RequestInvalid
from domain.records import record
from temporal.codec import EncryptionCodec, KeyUnknown

MAX_PAYLOADS = 1000


@record
class Decoded:
    body: bytes = field(repr=False)
    payloads: int


class PayloadDecoder:
    def __init__(self, codec: EncryptionCodec) -> None:
        self._codec = codec

    async def decode(self, body: bytes) -> Decoded:
        """Decrypt `{"payloads": […]}`, in Protobuf's JSON. Raises `RequestInvalid`, without a part of the body."""
        try:
            given = json_format.ParseDict(orjson.loads(body), Payloads(), max_recursion_depth=10)
        except (json_format.ParseError, ValueError, TypeError, AttributeError):  # the last two: for no object
            raise RequestInvalid("The body must be Temporal's payloads, as JSON.") from None
        if len(given.payloads) > MAX_PAYLOADS:
            raise RequestInvalid(f"A request has {MAX_PAYLOADS} payloads at most.", param="payloads")
        try:
            opened = await self._codec.decode(given.payloads)
        except KeyUnknown:
            raise RequestInvalid("A payload was encrypted with a secret that is not configured here.") from None
        except (InvalidTag, DecodeError, ValueError):
            raise RequestInvalid("A payload is damaged, or was not encrypted by this deployment.") from None
        return Decoded(json_format.MessageToJson(Payloads(payloads=opened), indent=None).encode(), len(opened))
