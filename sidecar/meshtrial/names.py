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
OUTCOME_HEADER: Final = "x-meshtrial-outcome"
"""A model's response header: outcomes of the request's unit. It never reaches a client."""


class Header(StrEnum):
    """Headers that the sidecar sets on the request."""

    CLUSTER = "x-meshtrial-cluster"
    ARMS = "x-meshtrial-arms"


class Attribute(StrEnum):
    """Span attributes.

    `feature_flag.*`: https://opentelemetry.io/docs/specs/semconv/feature-flags/feature-flags-events/
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
    OUTCOME_NAME = "meshtrial.outcome.name"
    OUTCOME_ID = "meshtrial.outcome.id"


OUTCOME_VALUE_PREFIX: Final = "meshtrial.outcome.values."
"""Prefix of one attribute for each numeric field of an outcome."""


class SpanName(StrEnum):
    """Names of the spans that meshtrial writes."""

    EXPOSURE = "meshtrial.exposure"
    OUTCOME = "meshtrial.outcome"


class Reason(StrEnum):
    """Why an arm was chosen: values of `feature_flag.result.reason`."""

    SPLIT = "split"
    DEFAULT = "default"


class Plane(StrEnum):
    """Where a decision was made: values of `meshtrial.plane`."""

    EXT_PROC = "ext_proc"
