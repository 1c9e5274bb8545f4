"""Attributes as a client sent them -> attributes without a clear unit. Pure.

Stage: OTLP door -> spans -> **units** -> journal.
"""

import re
from collections.abc import Callable, Iterable, MutableSequence
from typing import Final, TypeVar

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from meshtrial.names import Attribute
from meshtrial.pseudonym import PseudonymKey

PROXY_REQUEST_ID: Final = "guid:x-request-id"
"""Envoy's tag for the request id, the unit of a request-level split:
https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/observability/tracing"""
PROXY_UNIT: Final = "meshtrial.unit"
"""Tag of the proxy's spans for the unit's pseudonym (`protos/CONTRACT.md`)."""
URL_ATTRIBUTES: Final = frozenset({"http.url", "http.target", "url.full", "url.path", "url.query"})
"""Where Envoy and OpenTelemetry's semantic conventions write a request's URL."""

Attributes = MutableSequence[KeyValue]
_T = TypeVar("_T")
_PSEUDONYM: Final = re.compile(r"[0-9a-f]{32}")
_IDS: Final = {
    Attribute.CONTEXT_ID: _PSEUDONYM,
    Attribute.GROUP_ID: _PSEUDONYM,
    Attribute.NEIGHBOURS: re.compile(rf"{_PSEUDONYM.pattern}(?:,{_PSEUDONYM.pattern})*"),
}
"""What may hold clear units, and how it looks without them."""


def keep(items: MutableSequence[_T], wanted: Callable[[_T], bool]) -> int:
    """Drop the other items of a repeated field; how many there were.

    The list is built anew, once: to delete from it one by one takes quadratic time.
    """
    kept = [item for item in items if wanted(item)]
    dropped = len(items) - len(kept)
    if dropped:
        del items[:]
        items.extend(kept)
    return dropped


def hide_units(attributes: Attributes, kind: str, key: PseudonymKey) -> int:
    """Replace or remove the clear units and groups of one list; how many there were.

    A list of neighbours in clear is removed: only a sidecar knows how it was written.

    Args:
        attributes: Changed in place.
        kind: The unit's kind where the list names none itself, "" for unknown.
        key: Makes the pseudonyms.
    """
    if not any(attribute.key in _IDS for attribute in attributes):
        return 0
    has_key_id = bool(text_of(attributes, Attribute.KEY_ID))
    kinds = {
        Attribute.CONTEXT_ID: text_of(attributes, Attribute.UNIT_KIND) or kind,
        Attribute.GROUP_ID: text_of(attributes, Attribute.GROUP_KIND),
    }
    ids = [attribute for attribute in attributes if attribute.key in _IDS]
    clear = [i for i in ids if not (has_key_id and _IDS[Attribute(i.key)].fullmatch(i.value.string_value))]
    replaced = removed = False
    for attribute in clear:
        unit, of_kind = _unit_bytes(attribute.value), kinds.get(Attribute(attribute.key), "")
        if of_kind and unit:
            attribute.value.CopyFrom(AnyValue(string_value=key.pseudonym(of_kind, unit)))
            replaced = True
        else:
            attribute.key = ""
            removed = True
    if removed:
        keep(attributes, lambda attribute: attribute.key != "")
    if replaced:
        keep(attributes, lambda attribute: attribute.key != Attribute.KEY_ID)
        attributes.append(KeyValue(key=Attribute.KEY_ID, value=AnyValue(string_value=key.id)))
    return len(clear)


def hide_request(attributes: Attributes) -> int:
    """Of a span of the proxy, remove the request id and the query of its URL; how many ids there were.

    A span is the proxy's when it has `guid:x-request-id` or `meshtrial.unit`. The id would stand in clear
    beside its pseudonym, and queries hold what users typed.
    """
    if not any(attribute.key in (PROXY_REQUEST_ID, PROXY_UNIT) for attribute in attributes):
        return 0
    for attribute in attributes:
        if attribute.key in URL_ATTRIBUTES:
            url = attribute.value.string_value.partition("?")[0]
            attribute.value.CopyFrom(AnyValue(string_value="" if attribute.key == "url.query" else url))
    return keep(attributes, lambda attribute: attribute.key != PROXY_REQUEST_ID)


def text_of(attributes: Iterable[KeyValue], name: str) -> str:
    """The first text of this name, "" where there is none."""
    return next((a.value.string_value for a in attributes if a.key == name), "")


def _unit_bytes(value: AnyValue) -> bytes:
    """The unit as it would stand in a header; empty where the value cannot be one."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value.encode()
        case "int_value":
            return str(value.int_value).encode()
        case "bytes_value":
            return value.bytes_value
        case _:
            return b""
