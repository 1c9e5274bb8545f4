"""What each request leaves behind: a span with its arms, a line of JSON, and an event for the collector."""

from collections.abc import Mapping
from datetime import timedelta

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.trace import v3 as trace
from envoy_data_plane.envoy.extensions.access_loggers.file import v3 as file_log
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel import v3 as cel_filter
from envoy_data_plane.envoy.extensions.access_loggers.open_telemetry import v3 as otlp_log
from envoy_data_plane.envoy.extensions.access_loggers.stream import v3 as stream_log
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.envoy.type.tracing import v3 as tracing_type
from envoy_data_plane.google.protobuf import Struct
from envoy_data_plane.opentelemetry.proto.common import v1 as otlp

from meshtrial.emit.clusters import COLLECTOR
from meshtrial.emit.extension import envoy_grpc, packed
from meshtrial.emit.routes import DEFAULT_ROUTE, NO_ROUTE
from meshtrial.errors import SettingError
from meshtrial.names import EXT_PROC_FILTER, METADATA_NAMESPACE, Attribute, RequestEvent, SpanName

_SERVICE = "envoy"
"""`service.name` of the spans."""
_FROM_THE_DECISION = ("arms", "unit", "plan")
"""Keys of the sidecar's metadata that say who got what; the unit is a pseudonym."""
_FLUSH = timedelta(seconds=1)
"""How long an event waits for others: all that an Envoy that is killed takes with it."""
_BATCH = 2**18
"""Bytes of events that are sent before that, some 300: each sending is a write to the collector's disk."""
_TIMEOUT = timedelta(seconds=5)
"""For one attempt to send a batch."""
_PAUSE, _LONGEST_PAUSE, _RETRIES = timedelta(seconds=1), timedelta(seconds=5), 10
"""Between two attempts: up to 1 second, growing to up to 5, at random. So a collector may be away for some 20
seconds; after that a batch is dropped, and counted in Envoy's `logs_dropped`."""
_EVENT = {
    "event.name": SpanName.REQUEST,
    RequestEvent.RECORD: "%UNIQUE_ID%",
    RequestEvent.DECISION: f"%DYNAMIC_METADATA({METADATA_NAMESPACE})%",
    RequestEvent.DURATION_NS: "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ns)%",
    RequestEvent.DURATION_MS: "%DURATION%",
    Attribute.STATUS: "%RESPONSE_CODE%",
    Attribute.GRPC_STATUS: "%GRPC_STATUS_NUMBER%",
    Attribute.FLAGS: "%RESPONSE_FLAGS%",
    Attribute.ROUTE: "%ROUTE_NAME%",
    Attribute.CLUSTER: "%UPSTREAM_CLUSTER%",
    Attribute.FAILED_OPEN: f"%FILTER_STATE({EXT_PROC_FILTER}:FIELD:failed_open)%",
}
"""Nothing that a client wrote. A random id tells equal events apart: the request's may be a unit in clear."""


def tracing() -> hcm.HttpConnectionManagerTracing:
    """A span for each request and one for its way to the model, by OTLP/gRPC to the collector.

    For looking only: a client's `traceparent` with sampling off suppresses both, so nothing
    that is analysed may depend on them.
    """
    provider = trace.OpenTelemetryConfig(grpc_service=envoy_grpc(COLLECTOR), service_name=_SERVICE)
    return hcm.HttpConnectionManagerTracing(
        provider=trace.TracingHttp(name="envoy.tracers.opentelemetry", typed_config=packed(provider)),
        random_sampling=envoy_type.Percent(value=100.0),
        spawn_upstream_span=True,
        custom_tags=[
            tracing_type.CustomTag(tag=f"{METADATA_NAMESPACE}.{key}", value=_metadata(key))
            for key in _FROM_THE_DECISION
        ],
    )


def access_log(path: str | None) -> accesslog.AccessLog:
    """One JSON object a line, to a file or to standard output.

    The log is the authority on what a request got: its arms are null where the sidecar's
    answer was not used. The query is left out of the path, for it may name a person.

    Raises:
        SettingError: The path is empty or has characters that no line of text can hold.
    """
    fields = {
        "time": "%START_TIME%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "trace_id": "%TRACE_ID%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "route": "%ROUTE_NAME%",
        "cluster": "%UPSTREAM_CLUSTER%",
        **{key: _metadata(key) for key in _FROM_THE_DECISION},
        "duration_ms": "%DURATION%",
        "decision_us": _decision("request_header_latency_us"),
        "failed_open": _decision("failed_open"),
    }
    line = core.SubstitutionFormatString(json_format=Struct.from_dict(fields))
    if path is None:
        return accesslog.AccessLog(
            name="envoy.access_loggers.stdout",
            typed_config=packed(stream_log.StdoutAccessLog(log_format=line)),
        )
    if not path or not path.isprintable():
        raise SettingError(f"access log {path!r}: this is no path of a file")
    return accesslog.AccessLog(
        name="envoy.access_loggers.file",
        typed_config=packed(file_log.FileAccessLog(path=path, log_format=line)),
    )


def request_log() -> accesslog.AccessLog:
    """An event for each request of the plan, by OTLP/gRPC to the collector: what request metrics are made of.

    No client can switch it off. Requests that the sidecar is not asked about are left out.

    https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/access_loggers/open_telemetry/v3/logs_service.proto
    """
    collector = envoy_grpc(COLLECTOR)
    collector.timeout = _TIMEOUT
    collector.retry_policy = core.RetryPolicy(
        retry_on="5xx,unavailable",
        num_retries=_RETRIES,
        retry_back_off=core.BackoffStrategy(base_interval=_PAUSE, max_interval=_LONGEST_PAUSE),
    )
    config = otlp_log.OpenTelemetryAccessLogConfig(
        grpc_service=collector,
        disable_builtin_labels=True,
        resource_attributes=_attributes({"service.name": _SERVICE}),
        attributes=_attributes(_EVENT),
        buffer_flush_interval=_FLUSH,
        buffer_size_bytes=_BATCH,
    )
    asked = cel_filter.ExpressionFilter(expression=f"!(xds.route_name in ['{DEFAULT_ROUTE}', '{NO_ROUTE}'])")
    return accesslog.AccessLog(
        name="envoy.access_loggers.open_telemetry",
        filter=accesslog.AccessLogFilter(
            extension_filter=accesslog.ExtensionFilter(
                name="envoy.access_loggers.extension_filters.cel", typed_config=packed(asked)
            )
        ),
        typed_config=packed(config),
    )


def _attributes(texts: Mapping[str, str]) -> otlp.KeyValueList:
    return otlp.KeyValueList(
        values=[
            otlp.KeyValue(key=str(key), value=otlp.AnyValue(string_value=str(text)))
            for key, text in texts.items()
        ]
    )


def _metadata(key: str) -> str:
    return f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{key})%"


def _decision(field: str) -> str:
    return f"%FILTER_STATE({EXT_PROC_FILTER}:FIELD:{field})%"
