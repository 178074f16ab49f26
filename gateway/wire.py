"""The values between the gateway and a client wire (`api.wire.base`): a parsed request, and an answer to write."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, ClassVar, Protocol
from uuid import UUID

from domain.errors import GatewayError, RequestInvalid
from domain.key_rules import NO_RULES, KeyRules
from domain.pricing import Usage
from domain.privacy import PrivacyClass
from domain.records import record
from domain.results import Admitted
from gateway.body_budget import BodyClaim
from gateway.preferences import Preferences
from providers.base import Delta, NativeRequest


@record
class SaveOptions:
    """What a request says about being saved."""

    save: bool | None = None
    """None: as its conversation or its account has it."""
    conversation_id: UUID | None = None
    """The conversation that it continues."""


@record
class EmbeddingRequest:
    """What a request for embeddings asks for."""

    inputs: tuple[str | list[int], ...] = field(repr=False)
    dimensions: int | None = None
    base64: bool = False
    """The client gets vectors in base64; else as arrays of numbers."""


@record
class CompletionRequest:
    """What a request for text completions asks for. `ModelCall.native` has it for routes that take it as it is."""

    inputs: tuple[str | list[int], ...] = field(repr=False)
    """The prompts, and the suffix if there is one."""
    inexpressible: RequestInvalid | None = field(default=None, repr=False)
    """Names the field that no chat can express. None: `ModelCall.body` is a chat that means the same."""


@record
class ModelCall:
    """One request to a model, in the gateway's words."""

    model: str
    body: dict[str, Any] = field(repr=False)
    """OpenAI's shape, which all providers' adapters take. Reasoning that has to come back to its provider is in
    `reasoning_details` of a message, in OpenRouter's words: `reasoning.text` with `text` and `signature`,
    `reasoning.encrypted` with `data`, `reasoning.summary` with `summary`; `format` names whose it is."""
    stream: bool = False
    choices: int = 1
    output_limit: int | None = None
    """Tokens per choice, where the client set a limit."""
    max_credits: int | None = None
    strict: bool = False
    """A parameter that no provider of this model takes is refused, not dropped."""
    privacy: PrivacyClass = PrivacyClass.UNKNOWN
    """The weakest class of a route that may answer."""
    big: bool = False
    """The request is large: parse and count it off the event loop."""
    admitted: Admitted | None = None
    """Set for a large request: its caller was admitted before the body was parsed."""
    claim: BodyClaim | None = field(default=None, repr=False, compare=False)
    """What counts the memory of its content, until the call has ended. Set where more may be read for it."""
    stop_on_disconnect: bool = False
    """The end of the connection ends the call, also where its answer could be replayed."""
    save_options: SaveOptions | None = None
    """None if nothing of the call can be saved: on other wires, and for who wants it so."""
    preferences: Preferences | None = None
    """Which models and routes may answer, and in which order. None: the request says nothing of it."""
    max_searches: int | None = None
    """The most web searches that the client allows, where it says so."""
    native: NativeRequest | None = None
    """The request in the client's own shape: for a provider that speaks the same wire."""
    embedding: EmbeddingRequest | None = None
    """Set for a request for embeddings. `body` is then OpenAI's body of that endpoint."""
    completion: CompletionRequest | None = None
    """Set for a request for text completions. `body` is then a chat of its first prompt."""
    untranslated: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What only `native` has, by the client's names. Dropped for any other provider; held for as input."""
    optional: frozenset[str] = field(default=frozenset(), repr=False)
    """Fields of `body` that are left out where the model has no price for them, instead of a refusal."""
    left_out: tuple[str, ...] = field(default=(), repr=False)
    """Such fields, by the client's names: they are named as dropped."""
    untranslatable: frozenset[str] = field(default=frozenset(), repr=False)
    """The names in `untranslated` without which the request makes no sense: a route that drops one is not used."""
    unused_tools: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Tools in `native` that this turn must not call: no other provider needs them. Held for as input."""
    places: Mapping[str, str] = field(default_factory=dict, repr=False)
    """How the client names a part of `body`, by its name there, such as `messages[2].content[0]`. Errors, and the names
    of dropped parameters, say what the client wrote."""

    @property
    def native_only(self) -> Mapping[str, Any]:
        """What a provider of the client's own wire may read beside what is in `body`."""
        return {**self.untranslated, **self.unused_tools} if self.unused_tools else self.untranslated

    @property
    def inputs(self) -> int:
        """How many inputs it has, each of which may fill the model's window."""
        several = self.embedding or self.completion
        return 1 if several is None else len(several.inputs)

    @property
    def kind(self) -> str:
        """As the ledger names it."""
        return "chat" if self.embedding is None else "embedding"

    def as_written(self, name: str) -> str:
        """The client's name of a part of `body`, by the longest name in `places` that it begins with."""
        for end in range(len(name), 0, -1) if self.places else ():
            if (end == len(name) or name[end] in ".[") and name[:end] in self.places:
                return self.places[name[:end]] + name[end:]
        return name

    def under(self, rules: KeyRules) -> "ModelCall":
        """Return the request as a key with these rules makes it. A key's rules are never loosened."""
        if rules == NO_RULES:
            return self
        privacy = PrivacyClass.strongest(self.privacy, rules.privacy.required)
        return replace(self, strict=self.strict or rules.strict, privacy=privacy)

    @property
    def needed(self) -> frozenset[str] | None:
        """The parameters that a route must not drop. None: all of them."""
        return None if self.strict else self.untranslatable

    @property
    def continues(self) -> bool:
        return self.save_options is not None and self.save_options.conversation_id is not None


@record
class Head:
    """What is known of a call before its answer begins."""

    id: str
    """The id of the answer, and of its charge."""
    created: int
    request: ModelCall
    held: int
    """Credits that are set aside for it."""
    conversation_id: UUID | None = None
    """In which the call is to be saved."""
    input_tokens: int = 0
    """Our count of the input, for wires that tell one before the provider does."""


@record
class Bill:
    """What a call cost."""

    usage: Usage
    charged: int
    balance: int
    """The balance of the account after the charge."""
    held: int
    """Credits that were set aside for the call in the end."""
    saved: bool = False
    """The call was added to its conversation."""


@record
class CompletedAnswer:
    """A whole answer that is charged: OpenAI's `chat.completion` with our id, and what was billed as `usage`."""

    body: dict[str, Any] = field(repr=False)
    encoded: bytes = field(repr=False)
    """`body` as JSON."""
    native: dict[str, Any] | None = field(default=None, repr=False)
    """The provider's own answer, where it speaks the client's wire. A replay has it if it was small enough."""
    request: ModelCall | None = field(default=None, repr=False)
    """What it answers, for wires whose answers repeat the request. Set when it is written."""


class StreamWriter(Protocol):
    """Formats one stream. Which part goes out when is decided by the relay."""

    KEEP_ALIVE: ClassVar[bytes]

    def delta(self, delta: Delta) -> bytes: ...

    def held(self, credits: int) -> bytes:
        """The call's hold has grown to so many credits. Empty where the wire has no word for it."""

    def end(self, last: Sequence[Delta], bill: Bill) -> bytes:
        """Write what ends the choices, then the end of the stream. Called after the charge has committed."""

    def fail(self, error: GatewayError, bill: Bill | None) -> bytes:
        """Write the end of a stream that failed. `bill` is None if the ledger did not say what was charged."""
