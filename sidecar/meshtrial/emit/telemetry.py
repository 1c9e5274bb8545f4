"""What each request leaves behind: a span with its arms, and one line of JSON in the access log."""

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.trace import v3 as trace
from envoy_data_plane.envoy.extensions.access_loggers.file import v3 as file_log
from envoy_data_plane.envoy.extensions.access_loggers.stream import v3 as stream_log
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.envoy.type.tracing import v3 as tracing_type
from envoy_data_plane.google.protobuf import Struct

from meshtrial.emit.clusters import COLLECTOR
from meshtrial.emit.extension import envoy_grpc, packed
from meshtrial.errors import SettingError
from meshtrial.names import EXT_PROC_FILTER, METADATA_NAMESPACE

_SERVICE = "envoy"
"""`service.name` of the spans."""
_FROM_THE_DECISION = ("arms", "unit", "plan")
"""Keys of the sidecar's metadata that say who got what; the unit is a pseudonym."""


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


def _metadata(key: str) -> str:
    return f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:{key})%"


def _decision(field: str) -> str:
    return f"%FILTER_STATE({EXT_PROC_FILTER}:FIELD:{field})%"
