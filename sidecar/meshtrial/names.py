"""Every name on the wire, once, with where it is defined.

`protos/CONTRACT.md` is the prose; a test holds the two equal.
"""

from enum import StrEnum
from typing import Final

HEADER_PREFIX: Final = "x-meshtrial-"
"""Reserved: the proxy drops every header of this prefix that a client sends."""
METADATA_NAMESPACE: Final = "meshtrial"
"""Envoy dynamic metadata that the sidecar writes."""
PROVIDER: Final = "meshtrial"
"""Value of `feature_flag.provider.name`."""

REQUEST_ID: Final = "x-request-id"
"""https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-request-id"""
TRACEPARENT: Final = "traceparent"
"""https://www.w3.org/TR/trace-context/#traceparent-header"""
BAGGAGE: Final = "baggage"
"""https://www.w3.org/TR/baggage/#header-name"""
BAGGAGE_PREFIX: Final = "meshtrial."
"""Reserved: in `baggage`, the sidecar drops every member whose key begins so, and sets its own."""
FORCE: Final = "meshtrial-force"
"""Outside `HEADER_PREFIX`: testers send it, and its signature protects it."""

EXT_PROC_SERVICE: Final = "envoy.service.ext_proc.v3.ExternalProcessor"
"""https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/ext_proc/v3/external_processor.proto"""
EXT_PROC_FILTER: Final = "envoy.filters.http.ext_proc"
"""Filter name, and the key under which request attributes arrive."""
SET_COOKIE: Final = "set-cookie"
"""https://www.rfc-editor.org/rfc/rfc6265#section-4.1"""
ROUTE_NAME: Final = "xds.route_name"
REQUEST_TIME: Final = "request.time"
"""Envoy's names of request attributes:
https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes"""


class Header(StrEnum):
    """Headers of our own."""

    CLUSTER = "x-meshtrial-cluster"
    ARMS = "x-meshtrial-arms"
    OUTCOME = "x-meshtrial-outcome"
    """Set by the model on its response."""


class Metadata(StrEnum):
    """Keys of the namespace `METADATA_NAMESPACE`."""

    UNIT = "unit"
    KEY_ID = "key"
    PLAN = "plan"
    ARMS = "arms"
    EXPERIMENTS = "experiments"


class MetadataOf(StrEnum):
    """Keys of one experiment under `Metadata.EXPERIMENTS`."""

    ARM = "arm"
    BUCKET = "bucket"
    PHASE = "phase"
    EXPOSED = "exposed"
    REASON = "reason"
    UNIT = "unit"
    UNIT_KIND = "unit_kind"


class Attribute(StrEnum):
    """Span attributes.

    `feature_flag.*`: https://opentelemetry.io/docs/specs/semconv/feature-flags/feature-flags-events/
    `http.*`: https://opentelemetry.io/docs/specs/semconv/registry/attributes/http/
    `rpc.*`: https://opentelemetry.io/docs/specs/semconv/registry/attributes/rpc/
    """

    KEY = "feature_flag.key"
    VARIANT = "feature_flag.result.variant"
    REASON = "feature_flag.result.reason"
    CONTEXT_ID = "feature_flag.context.id"
    VERSION = "feature_flag.version"
    PROVIDER_NAME = "feature_flag.provider.name"
    BUCKET = "meshtrial.bucket"
    PHASE = "meshtrial.phase"
    UNIT_KIND = "meshtrial.unit.kind"
    KEY_ID = "meshtrial.key.id"
    EXPOSED = "meshtrial.exposed"
    PLANE = "meshtrial.plane"
    LAYER = "meshtrial.layer"
    COHORT = "meshtrial.cohort"
    GROUP_ID = "meshtrial.group.id"
    GROUP_KIND = "meshtrial.group.kind"
    WINDOW = "meshtrial.window"
    NEIGHBOURS = "meshtrial.neighbours"
    STATUS = "http.response.status_code"
    GRPC_STATUS = "rpc.grpc.status_code"
    ROUTE = "meshtrial.route"
    CLUSTER = "meshtrial.cluster"
    FLAGS = "meshtrial.response_flags"
    FAILED_OPEN = "meshtrial.failed_open"
    OUTCOME_NAME = "meshtrial.outcome.name"
    OUTCOME_ID = "meshtrial.outcome.id"
    DOCUMENT = "meshtrial.experiment.document"
    IMPORTED = "meshtrial.imported"


STRATUM_PREFIX: Final = "meshtrial.strata."
"""Prefix of one attribute for each stratum of an exposure."""
OUTCOME_VALUE_PREFIX: Final = "meshtrial.outcome.values."
"""Prefix of one attribute for each numeric field of an outcome."""


class SpanName(StrEnum):
    """Names of the spans that meshtrial writes."""

    EXPOSURE = "meshtrial.exposure"
    OUTCOME = "meshtrial.outcome"
    EXPERIMENT = "meshtrial.experiment"
    REQUEST = "meshtrial.request"
    """The name of the event in the proxy's access log, too."""


class RequestEvent(StrEnum):
    """Attributes that the proxy's event `SpanName.REQUEST` has besides those of its spans.

    `log.record.uid`: https://opentelemetry.io/docs/specs/semconv/registry/attributes/log/
    """

    RECORD = "log.record.uid"
    DECISION = "meshtrial.metadata"
    """The namespace `METADATA_NAMESPACE` as JSON."""
    DURATION_NS = "meshtrial.duration_ns"
    DURATION_MS = "meshtrial.duration_ms"


class Reason(StrEnum):
    """Why an arm was chosen: values of `feature_flag.result.reason`."""

    SPLIT = "split"
    """By its bucket."""
    CACHED = "cached"
    """Sticky: the unit's first arm, kept."""
    DEFAULT = "default"
    """Control: the request has no usable unit."""
    DISABLED = "disabled"
    """Control: the experiment is paused or killed."""
    TARGETING_MATCH = "targeting_match"
    """Forced by a signed header; never analysed."""
    HOLDOUT = "holdout"
    """Control: the unit is held out of the layer."""
    OUTSIDE = "outside"
    """Control: the unit's bucket of the layer is in another slice; not recorded."""
    WASHOUT = "washout"
    """By its bucket, in the part of a switchback's window that is not analysed."""
    CARRIED = "carried"
    """The arm that an earlier hop chose; recorded there."""


class Plane(StrEnum):
    """Where a decision was made: values of `meshtrial.plane`."""

    EXT_PROC = "ext_proc"
