"""The connection to Temporal, and the one data converter."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from temporalio.client import Client, Interceptor
from temporalio.common import HeaderCodecBehavior
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from domain.faults import FaultLog
from temporal.codec import EncryptionCodec, Keyring
from temporal.request_ids import RequestIds


@dataclass(frozen=True, slots=True)
class Address:
    """The address of Temporal. Temporal Cloud: the namespace's endpoint, `tls` and an API key."""

    target: str
    namespace: str = "default"
    tls: bool = False
    api_key: str | None = dataclasses.field(default=None, repr=False)


@cache
def _runtime() -> Runtime:
    """The SDK's threads. What they log goes where ours does, and without the fields, which quote servers.

    They warn of every request that fails while Temporal is away: `temporal.faults` tells of that.
    """
    errors = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    forwarding = LogForwardingConfig(logging.getLogger("temporalio.core"), append_log_fields_to_message=False)
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=errors, forwarding=forwarding)))


def converter(keyring: Keyring, faults: FaultLog | None = None) -> DataConverter:
    """The converter of API, worker and tests. Failures are payloads too, so their text is encrypted."""
    return dataclasses.replace(plain_converter(), payload_codec=EncryptionCodec(keyring, faults))


def plain_converter() -> DataConverter:
    """The converter without encryption. Only for the committed histories of synthetic jobs."""
    return dataclasses.replace(
        pydantic_data_converter, failure_converter_class=DefaultFailureConverterWithEncodedAttributes
    )


async def connect(
    address: Address, conversion: DataConverter, *, lazy: bool = False, interceptors: Sequence[Interceptor] = ()
) -> Client:
    """Connect to Temporal. With `lazy`, connect at the first call, so that Temporal may be unavailable now.

    A worker's client cannot be lazy.
    """
    return await Client.connect(
        address.target,
        namespace=address.namespace,
        api_key=address.api_key,
        tls=address.tls,
        data_converter=conversion,
        interceptors=[RequestIds(), *interceptors],
        header_codec_behavior=HeaderCodecBehavior.CODEC,
        runtime=_runtime(),
        lazy=lazy,
    )
