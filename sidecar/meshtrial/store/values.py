"""An OTLP attribute value as the text that the Collector stores for it. Pure.

The rules are those of `pcommon.Value.AsString`, which the Collector's exporters share:
https://pkg.go.dev/go.opentelemetry.io/collector/pdata/pcommon#Value.AsString
"""

import base64
import json
import math
from decimal import Decimal

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
"""What Go's encoding/json writes as escapes although JSON does not ask for it."""


def as_string(value: AnyValue) -> str:
    """Strings as they are, `true`/`false`, numbers, bytes as base64, arrays and maps as JSON, "" if unset."""
    match value.WhichOneof("value"):
        case "string_value":
            text = value.string_value
        case "int_value":
            text = str(value.int_value)
        case "bool_value":
            text = "true" if value.bool_value else "false"
        case "double_value":
            text = _number(value.double_value)
        case "bytes_value":
            text = base64.b64encode(value.bytes_value).decode()
        case "array_value" | "kvlist_value":
            try:
                text = _json(value)
            except ValueError:
                text = ""  # JSON has no NaN; the Collector writes nothing then
        case _:
            text = ""
    return text


def _number(value: float) -> str:
    """Shortest text that reads back the same; an exponent only below 1e-6 and from 1e21 on (ECMAScript)."""
    if not math.isfinite(value):
        name = "NaN" if math.isnan(value) else f"{value:+}".replace("inf", "Inf")
        return f"json: unsupported value: {name}"
    shortest = repr(value)
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return format(Decimal(shortest), "f").removesuffix(".0")
    digits, exponent = shortest.split("e")
    return f"{digits}e{exponent[0]}{exponent[1:].lstrip('0')}"


def _json(value: AnyValue) -> str:
    """Compact JSON, keys sorted.

    Raises:
        ValueError: It holds a number that is not finite.
    """
    match value.WhichOneof("value"):
        case "array_value":
            return "[" + ",".join(_json(item) for item in value.array_value.values) + "]"
        case "kvlist_value":
            pairs = {item.key: item.value for item in value.kvlist_value.values}
            return "{" + ",".join(f"{_quoted(key)}:{_json(pairs[key])}" for key in sorted(pairs)) + "}"
        case "string_value" | "bytes_value":
            return _quoted(as_string(value))
        case "double_value" if not math.isfinite(value.double_value):
            raise ValueError(value.double_value)
        case None:
            return "null"
        case _:
            return as_string(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_ESCAPES)
