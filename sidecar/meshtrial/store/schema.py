"""The table `otel_traces`: what a stored span looks like.

A column's name and type are final once released; a later version may add columns, and reads nulls in them
where a segment was written without. (Cohort, Group and Window were added before 0.1 was released; Strata,
Neighbours, Status, GrpcStatus, Route and FailedOpen after it.)

The first part is what the OpenTelemetry Collector's ClickHouse exporter writes, so that one query reads both:
https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/clickhouseexporter
The second part is what the analysis reads, taken out of the attributes when a row is written: reading them
from the map later costs several times the time and the space. Times are UTC.

================== ===================== ==================================================================
column             type                  meaning
================== ===================== ==================================================================
Timestamp          timestamp[ns]         start of the span; null beyond the year 2262
TraceId            string                32 lower-case hex digits; with SpanId and SpanName what makes a
                                         span the same
SpanId             string                16 lower-case hex digits
ParentSpanId       string                16 lower-case hex digits, "" for a root
TraceState         string                W3C tracestate, as received
SpanName           string                name; ours are in `meshtrial.names.SpanName`
SpanKind           string                Unspecified, Internal, Server, Client, Producer or Consumer
ServiceName        string                resource attribute `service.name`, "" where absent
ResourceAttributes map<string, string>   of the resource
ScopeName          string                instrumentation scope
ScopeVersion       string                its version
SpanAttributes     map<string, string>   of the span; the promoted ones too
Duration           uint64                end - start, ns; 0 where the end is before the start
StatusCode         string                Unset, Ok or Error
StatusMessage      string                message that goes with Error
Events             list<struct>          Timestamp, Name, Attributes of each event
Links              list<struct>          TraceId, SpanId, TraceState, Attributes of each link
------------------ --------------------- ------------------------------------------------------------------
Experiment         dictionary<string>    `feature_flag.key`
Arm                dictionary<string>    `feature_flag.result.variant`
Reason             dictionary<string>    `feature_flag.result.reason`
Phase              dictionary<string>    `meshtrial.phase`
Plan               dictionary<string>    `feature_flag.version`, the plan's digest
UnitKind           dictionary<string>    `meshtrial.unit.kind`
KeyId              dictionary<string>    `meshtrial.key.id`, the key that made the pseudonym
Plane              dictionary<string>    `meshtrial.plane`
Cohort             dictionary<string>    `meshtrial.cohort`, whose weights counted
Outcome            dictionary<string>    `meshtrial.outcome.name`, of spans `meshtrial.outcome` only
OutcomeId          string                `meshtrial.outcome.id`, of spans `meshtrial.outcome` only
Unit               uint64                first 16 hex digits of the pseudonym `feature_flag.context.id`
Group              uint64                first 16 hex digits of the pseudonym `meshtrial.group.id`
Window             int64                 `meshtrial.window`, number of a switchback's window since 1970
Bucket             uint32                `meshtrial.bucket`
Exposed            bool                  `meshtrial.exposed`; null also where Timestamp is more than 30 days
                                         before the receipt or 1 day after it: such a time is a clock's
                                         mistake, so the span is not analysed. Of an imported one the first
                                         limit does not hold
OutcomeValues      map<string, double>   `meshtrial.outcome.values.*` that are numbers within 1e100, by
                                         field; of spans `meshtrial.outcome` only
Strata             map<string, string>   `meshtrial.strata.*` by header; of spans `meshtrial.exposure` only
Neighbours         list<uint64>          first 16 hex digits of each pseudonym in `meshtrial.neighbours`, of
                                         100 at most
Status             uint16                `http.response.status_code`, 0 for a request without an answer
GrpcStatus         uint16                `rpc.grpc.status_code`
Route              dictionary<string>    `meshtrial.route`, the proxy's name of a route
FailedOpen         bool                  `meshtrial.failed_open`
ReceivedAt         timestamp[ns]         when the collector took it; of an exposure or outcome that a door for
                                         imports took (`meshtrial.imported`) Timestamp: it is a statement
                                         about the past, complete as of the import
================== ===================== ==================================================================

A promoted column is null where the attribute is absent or is not what the column holds. Numbers and truth
values are taken from their text as well, because proxies write every tag as a string. An outcome's three
columns are null as well where Timestamp is more than 1 day after the receipt.
"""

from typing import Final

import pyarrow as pa

TABLE: Final = "otel_traces"
"""The table's name, and its file's in each segment."""

TIME: Final = pa.timestamp("ns")
LARGEST_VALUE: Final = 1e100
"""An outcome's value, either way: the squares of a billion of them still have a finite sum."""
STRING_MAP: Final = pa.map_(pa.string(), pa.string())
VALUE_MAP: Final = pa.map_(pa.string(), pa.float64())
CODED: Final = pa.dictionary(pa.int32(), pa.string())
EVENTS: Final = pa.list_(pa.struct([("Timestamp", TIME), ("Name", pa.string()), ("Attributes", STRING_MAP)]))
LINKS: Final = pa.list_(
    pa.struct(
        [
            ("TraceId", pa.string()),
            ("SpanId", pa.string()),
            ("TraceState", pa.string()),
            ("Attributes", STRING_MAP),
        ]
    )
)

SCHEMA: Final = pa.schema(
    [
        ("Timestamp", TIME),
        ("TraceId", pa.string()),
        ("SpanId", pa.string()),
        ("ParentSpanId", pa.string()),
        ("TraceState", pa.string()),
        ("SpanName", pa.string()),
        ("SpanKind", pa.string()),
        ("ServiceName", pa.string()),
        ("ResourceAttributes", STRING_MAP),
        ("ScopeName", pa.string()),
        ("ScopeVersion", pa.string()),
        ("SpanAttributes", STRING_MAP),
        ("Duration", pa.uint64()),
        ("StatusCode", pa.string()),
        ("StatusMessage", pa.string()),
        ("Events", EVENTS),
        ("Links", LINKS),
        ("Experiment", CODED),
        ("Arm", CODED),
        ("Reason", CODED),
        ("Phase", CODED),
        ("Plan", CODED),
        ("UnitKind", CODED),
        ("KeyId", CODED),
        ("Plane", CODED),
        ("Cohort", CODED),
        ("Outcome", CODED),
        ("OutcomeId", pa.string()),
        ("Unit", pa.uint64()),
        ("Group", pa.uint64()),
        ("Window", pa.int64()),
        ("Bucket", pa.uint32()),
        ("Exposed", pa.bool_()),
        ("OutcomeValues", VALUE_MAP),
        ("Strata", STRING_MAP),
        ("Neighbours", pa.list_(pa.uint64())),
        ("Status", pa.uint16()),
        ("GrpcStatus", pa.uint16()),
        ("Route", CODED),
        ("FailedOpen", pa.bool_()),
        ("ReceivedAt", TIME),
    ]
)
