"""A receiver of traces by OTLP over HTTP: keeps what it is sent, as bytes and as spans."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.doubles.threaded_app import ThreadedApp


@dataclass(frozen=True, slots=True)
class Received:
    service: str
    span: Span

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def attributes(self) -> Mapping[str, Any]:
        return _plain(self.span.attributes)

    @property
    def events(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [(event.name, _plain(event.attributes)) for event in self.span.events]


@dataclass(slots=True)
class OtlpReceiver(ThreadedApp):
    bodies: list[bytes] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Signals that are no traces."""
    spans: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/traces", self._take)
        app.router.add_post("/v1/{other}", self._take_another)

    def of_request(self, request_id: str) -> list[Received]:
        """Return the spans of the trace that the request began; none until its own has come."""
        traces = {each.trace_id for each in self.spans if each.attributes.get("yout.request_id") == request_id}
        return [each for each in self.spans if each.trace_id in traces]

    async def _take(self, request: web.Request) -> web.Response:
        sent = await request.read()
        body = gzip.decompress(sent) if sent[:2] == b"\x1f\x8b" else sent
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = str(_plain(resource.resource.attributes)["service.name"])
            for scope in resource.scope_spans:
                self.spans += [Received(service, span) for span in scope.spans]
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")

    async def _take_another(self, request: web.Request) -> web.Response:
        self.others.append(request.path)
        return web.Response(status=404)


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each) for each in attributes}


def _value(attribute: KeyValue) -> Any:
    kind = attribute.value.WhichOneof("value")
    return getattr(attribute.value, kind) if kind else None
