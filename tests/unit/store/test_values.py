"""Expected texts: the Collector's own cases, pdata/pcommon/value_test.go (TestValueAsString)."""

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from meshtrial.store.values import as_string


def number(value: float) -> AnyValue:
    return AnyValue(double_value=value)


def array(*values: AnyValue) -> AnyValue:
    return AnyValue(array_value=ArrayValue(values=values))


def mapping(**values: AnyValue) -> AnyValue:
    return AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=k, value=v) for k, v in values.items()]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (AnyValue(), ""),
        (AnyValue(string_value="string value"), "string value"),
        (AnyValue(int_value=-42), "-42"),
        (AnyValue(bool_value=True), "true"),
        (AnyValue(bool_value=False), "false"),
        (AnyValue(bytes_value=b"String bytes"), "U3RyaW5nIGJ5dGVz"),
        (number(1.61803399), "1.61803399"),
        (number(3.0), "3"),
        (number(0.0), "0"),
        (number(-0.0), "-0"),
        (number(0.000001), "0.000001"),
        (number(1e-7), "1e-7"),
        (number(9.8e-10), "9.8e-10"),
        (number(1e20), "100000000000000000000"),
        (number(1e21), "1e+21"),
        (number(float("nan")), "json: unsupported value: NaN"),
        (number(float("-inf")), "json: unsupported value: -Inf"),
        (number(float("inf")), "json: unsupported value: +Inf"),
        (
            array(AnyValue(string_value='a"b'), number(2.0), AnyValue(), AnyValue(bool_value=True)),
            '["a\\"b",2,null,true]',
        ),
        (mapping(b=AnyValue(int_value=1), a=array()), '{"a":[],"b":1}'),
        (mapping(x=AnyValue(string_value="<\u00e9&>")), '{"x":"\\u003c\u00e9\\u0026\\u003e"}'),
        (mapping(x=AnyValue(bytes_value=b"\x00\xff")), '{"x":"AP8="}'),
        (array(number(float("nan"))), ""),
    ],
)
def test_a_value_is_stored_as_the_collector_writes_it(value: AnyValue, expected: str) -> None:
    assert expected == as_string(value)
