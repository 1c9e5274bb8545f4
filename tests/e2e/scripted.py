"""A sidecar that answers as a test says, and a collector that keeps spans; both speak real gRPC.

The sidecar uses Envoy's own full messages, none of ours.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.service.ext_proc import v3 as ext_proc
from envoy_data_plane.google.protobuf import Struct
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Answering = Callable[[ext_proc.ProcessingRequest], ext_proc.ProcessingResponse]


def sets(*headers: tuple[str, str], **metadata: str) -> ext_proc.ProcessingResponse:
    """An answer that sets request headers, and metadata in the namespace `meshtrial`."""
    options = [
        core.HeaderValueOption(header=core.HeaderValue(key=key, raw_value=value.encode()))
        for key, value in headers
    ]
    common = ext_proc.CommonResponse(
        header_mutation=ext_proc.HeaderMutation(set_headers=options), clear_route_cache=True
    )
    return ext_proc.ProcessingResponse(
        request_headers=ext_proc.HeadersResponse(response=common),
        dynamic_metadata=Struct.from_dict({"meshtrial": metadata}),
    )


@dataclass(slots=True)
class Sidecar:
    """A sidecar under a test's control."""

    answering: Answering
    """What it answers from now on."""
    seen: list[ext_proc.ProcessingRequest] = field(default_factory=list)
    """Everything it was asked."""

    def process(self, messages: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
        """One stream: an answer to each message."""
        for message in messages:
            asked = ext_proc.ProcessingRequest.parse(message)
            self.seen.append(asked)
            yield bytes(self.answering(asked))


@contextmanager
def sidecar(answering: Answering, address: str) -> Iterator[tuple[Sidecar, str]]:
    """Run a sidecar at `127.0.0.1:0` or `unix:/path`; gives it and the address that it got."""
    scripted = Sidecar(answering)
    process = grpc.stream_stream_rpc_method_handler(scripted.process)
    with _server({"envoy.service.ext_proc.v3.ExternalProcessor": {"Process": process}}, address) as bound:
        yield scripted, bound


@contextmanager
def collector() -> Iterator[tuple[list[Span], str]]:
    """Run an OTLP/gRPC receiver on loopback; gives the spans as they come, and its address."""
    spans: list[Span] = []

    def export(message: bytes, _: grpc.ServicerContext) -> bytes:
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(message)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                spans.extend(scope.spans)
        return trace_service_pb2.ExportTraceServiceResponse().SerializeToString()

    handler = grpc.unary_unary_rpc_method_handler(export)
    services = {"opentelemetry.proto.collector.trace.v1.TraceService": {"Export": handler}}
    with _server(services, "127.0.0.1:0") as bound:
        yield spans, bound


@contextmanager
def _server(services: dict[str, dict[str, Any]], address: str) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(16))
    for name, methods in services.items():
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, methods)])
    healthy = health.HealthServicer()
    healthy.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    port = server.add_insecure_port(address)
    server.start()
    try:
        yield address if address.startswith("unix:") else f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
