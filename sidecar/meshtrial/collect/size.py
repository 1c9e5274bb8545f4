"""How many parts an OTLP request has, told from its bytes: parsing takes a hundred times their space. Pure.

Protobuf's wire format: https://protobuf.dev/programming-guides/encoding/
"""

from typing import Final

_INSIDE: Final = {0: 1, 1: 2}
"""By depth, the field that holds the next groups: `resource_spans` is 1, `scope_spans` 2; then come spans."""
_LENGTHS: Final = {1: 8, 5: 4}
"""Bytes of a value, by wire type."""


def parts(payload: bytes, limit: int) -> int:
    """Resource groups, scope groups, spans and what else stands beside them; at most `limit` + 1.

    What cannot be read ends the counting: the parser refuses it.
    """
    count = 0
    todo = [(0, 0, len(payload))]  # depth, from, to
    while todo:
        depth, at, end = todo.pop()
        while at < end:
            count += 1
            if count > limit:
                return count
            tag, at = _varint(payload, at, end)
            wire_type = tag & 7
            if wire_type == 2:
                length, at = _varint(payload, at, end)
                if tag >> 3 == _INSIDE.get(depth):
                    todo.append((depth + 1, at, min(at + length, end)))
                at += length
            elif wire_type == 0:
                _, at = _varint(payload, at, end)
            elif wire_type in _LENGTHS:
                at += _LENGTHS[wire_type]
            else:
                break
    return count


def _varint(payload: bytes, at: int, end: int) -> tuple[int, int]:
    """The number, of 10 bytes at most, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = payload[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return number, at
