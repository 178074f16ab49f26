"""Search attributes, for filters in the Temporal UI. They are not encrypted: no user text may be in them."""

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from domain.media import Job

ACCOUNT = SearchAttributeKey.for_keyword("YoutAccount")
MODEL = SearchAttributeKey.for_keyword("YoutModel")
KIND = SearchAttributeKey.for_keyword("YoutKind")
STATE = SearchAttributeKey.for_keyword("YoutState")
PROVIDER = SearchAttributeKey.for_keyword("YoutProvider")

KEYS = (ACCOUNT, MODEL, KIND, STATE, PROVIDER)
DEFINITIONS: Mapping[str, str] = MappingProxyType({key.name: "Keyword" for key in KEYS})
"""Name to type, in the form that the server's command line and API take."""


class AttributesMissing(Exception):
    """The namespace lacks search attributes and this client may not add them."""

    def __init__(self, names: list[str]) -> None:
        commands = "; ".join(
            f"temporal operator search-attribute create --name {name} --type {DEFINITIONS[name]}" for name in names
        )
        super().__init__(f"register the search attributes of this application: {commands}")


def for_job(job: Job) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(ACCOUNT, str(job.account_id)),
            SearchAttributePair(MODEL, job.model),
            SearchAttributePair(KIND, job.kind.value),
            SearchAttributePair(STATE, job.state.value),
            SearchAttributePair(PROVIDER, job.provider),
        ]
    )


def for_account(account_id: UUID) -> TypedSearchAttributes:
    """Let a purge find what has nothing else to be found by."""
    return TypedSearchAttributes([SearchAttributePair(ACCOUNT, str(account_id))])


async def ensure(client: Client) -> None:
    """Register the missing attributes. Idempotent. Raises `AttributesMissing` if only an operator may add them."""
    names = await missing(client)
    if not names:
        return
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes=dict.fromkeys(names, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:  # another worker has registered them
            return
        if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED):
            raise AttributesMissing(names) from None
        raise


async def missing(client: Client) -> list[str]:
    """Return the attributes that the client's namespace lacks; all of them if this client may not list them."""
    try:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED):
            return list(DEFINITIONS)
        raise
    return [name for name in DEFINITIONS if name not in known.custom_attributes]
