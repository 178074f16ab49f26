"""Keeps calls in conversations: loads what a call continues, and seals what it adds.

The sealed messages go into the transaction that charges the call (`domain.settlements`), so that what was charged and
what is saved agree. A call that is not charged, or whose process died, keeps nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

from db.conversation_tables import ConversationRow
from db.data_keys import ContentKey, Sealing
from db.engine import Database
from domain import conversations
from domain.errors import RequestInvalid
from domain.operations import SavedTurn
from domain.records import record
from gateway.conversations import LARGE_BYTES, WholeConversations, require_place, sealed_message, sealed_title
from gateway.ids import new_id
from gateway.wire import ModelCall


@record
class Answered:
    """What a call produced, as far as it came."""

    message: dict[str, Any] = field(repr=False)
    finish_reason: str | None
    partial: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """What a call adds to a conversation when it is charged."""

    key: ContentKey
    conversation_id: UUID
    questions: Sequence[bytes] = field(repr=False)
    """The messages of the request that are not saved yet."""
    title: bytes | None = field(repr=False)
    """Sealed, of a new conversation."""

    def saved(self, answered: Answered, about: Mapping[str, Any]) -> SavedTurn:
        about = {**about, "finish_reason": answered.finish_reason, "partial": answered.partial}
        answer = conversations.written(answered.message, about)
        return SavedTurn(self.conversation_id, self.key.epoch, partial(self._sealed, answer), self.title)

    def _sealed(self, answer: bytes, first: int, charged: int) -> list[bytes]:
        plain = [*self.questions, answer[:-1] + b',"credits_charged":%d}' % charged]
        return [sealed_message(self.key, self.conversation_id, first + at, one) for at, one in enumerate(plain)]


class ConversationTurns:
    def __init__(self, database: Database, sealing: Sealing, whole: WholeConversations) -> None:
        self._database = database
        self._sealing = sealing
        self._whole = whole

    async def continued(self, request: ModelCall) -> ModelCall:
        """Put the saved messages of its conversation before those of a request. Raises `NotFound` and `RequestInvalid`.

        The request was admitted before: its account is known. Its `claim` counts the messages too.
        """
        options, admitted, claim = request.save_options, request.admitted, request.claim
        if options is None or options.conversation_id is None:
            return request
        assert admitted is not None and claim is not None  # noqa: S101, PT018  # the endpoint has seen to it

        def require_room(row: ConversationRow) -> None:
            if options.save is not False:
                new = conversations.require_bounded(request.body["messages"])
                conversations.require_room(row.messages, row.size, new)

        _, row, saved = await self._whole.read(admitted.account_id, options.conversation_id, claim, require_room)
        messages = conversations.continued(saved, request.body["messages"])
        if not messages:
            raise RequestInvalid("There is nothing to answer: a conversation needs a question.", param="messages")
        big = request.big or row.size > LARGE_BYTES
        return replace(request, body={**request.body, "messages": messages}, big=big)

    async def turn(self, account_id: UUID, conversation_id: UUID | None, new: Sequence[Mapping[str, Any]]) -> Turn:
        """Prepare what is added to a conversation, or to a new one. Raises `RequestInvalid` for what has no room."""
        questions = conversations.require_bounded(new)
        if conversation_id is None:
            conversations.require_room(0, 0, questions)
        async with self._database.reading() as session:
            key = await self._sealing.current(session, account_id)
            if conversation_id is not None:
                return Turn(key, conversation_id, questions, None)
            await require_place(session, account_id)
        begun = new_id()
        return Turn(key, begun, questions, sealed_title(key, begun, conversations.title_of(new)))
