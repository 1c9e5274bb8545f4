"""Our subset of the ext_proc messages against the full ones, as envoy-data-plane writes and reads them."""

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.service.ext_proc import v3 as full
from envoy_data_plane.google.protobuf import Struct

from meshtrial.doors import ext_proc_pb2 as ours

ROOT = Path(__file__).parents[2]
PROTO = "meshtrial/doors/ext_proc.proto"


def test_generated_code_is_what_the_proto_file_says(tmp_path: Path) -> None:
    out = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}", *out, PROTO]
    subprocess.run(command, check=True)

    for name in ("ext_proc_pb2.py", "ext_proc_pb2.pyi"):
        made = (tmp_path / "meshtrial/doors" / name).read_text()
        assert made == (ROOT / "sidecar/meshtrial/doors" / name).read_text()


def test_a_full_request_is_read_alike() -> None:
    sent = full.ProcessingRequest(
        request_headers=full.HttpHeaders(
            headers=core.HeaderMap(
                headers=[
                    core.HeaderValue(key=":path", raw_value=b"/recommend?q=1"),
                    core.HeaderValue(key="x-user-id", raw_value=b"\xff\x00u"),
                    core.HeaderValue(key="x-text", value="plain"),
                ]
            ),
            end_of_stream=True,
        ),
        attributes={"envoy.filters.http.ext_proc": Struct.from_dict({"xds.route_name": "r", "n": 4.5})},
        metadata_context=core.Metadata(filter_metadata={"a": Struct.from_dict({"b": "c"})}),
        observability_mode=True,
        protocol_config=full.ProtocolConfiguration(send_body_without_waiting_for_header_response=True),
    )

    read = ours.ProcessingRequest.FromString(bytes(sent))

    assert read.WhichOneof("request") == "request_headers"
    got = [(h.key, h.value, h.raw_value) for h in read.request_headers.headers.headers]
    assert got == [
        (":path", "", b"/recommend?q=1"),
        ("x-user-id", "", b"\xff\x00u"),
        ("x-text", "plain", b""),
    ]
    fields = read.attributes["envoy.filters.http.ext_proc"].fields
    assert (fields["xds.route_name"].string_value, fields["n"].number_value) == ("r", 4.5)


def test_every_other_phase_is_told_apart() -> None:
    phases = {
        "response_headers": full.HttpHeaders(),
        "request_body": full.HttpBody(body=b"x", end_of_stream=True),
        "response_body": full.HttpBody(body=b"y"),
        "request_trailers": full.HttpTrailers(trailers=core.HeaderMap(headers=[core.HeaderValue(key="k")])),
        "response_trailers": full.HttpTrailers(),
    }

    for phase, message in phases.items():
        sent = bytes(full.ProcessingRequest(**cast("Any", {phase: message})))
        assert ours.ProcessingRequest.FromString(sent).WhichOneof("request") == phase


def test_our_response_is_read_alike_by_the_full_message() -> None:
    sent = ours.ProcessingResponse(
        request_headers=ours.PhaseResponse(
            response=ours.CommonResponse(
                clear_route_cache=True,
                header_mutation=ours.HeaderMutation(
                    set_headers=[
                        ours.HeaderValueOption(
                            header=ours.HeaderValue(key="x-meshtrial-cluster", raw_value=b"model-v2"),
                            append_action=ours.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
                        )
                    ],
                    remove_headers=["x-model-version"],
                ),
            )
        )
    )
    sent.dynamic_metadata.update(
        {"meshtrial": {"arms": "rank-v2=v2", "experiments": {"rank-v2": {"bucket": 7}}}}
    )

    read = full.ProcessingResponse.parse(sent.SerializeToString())

    assert read.request_headers is not None
    common = read.request_headers.response
    assert common is not None
    assert common.header_mutation is not None
    assert common.clear_route_cache
    option = common.header_mutation.set_headers[0]
    assert option.header == core.HeaderValue(key="x-meshtrial-cluster", raw_value=b"model-v2")
    assert option.append_action == core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    assert common.header_mutation.remove_headers == ["x-model-version"]
    assert read.dynamic_metadata is not None
    assert read.dynamic_metadata.to_dict() == {
        "meshtrial": {"arms": "rank-v2=v2", "experiments": {"rank-v2": {"bucket": 7.0}}}
    }


def test_every_empty_phase_answer_is_read_alike() -> None:
    for phase in (
        "response_headers",
        "request_body",
        "response_body",
        "request_trailers",
        "response_trailers",
    ):
        answer = ours.ProcessingResponse()
        getattr(answer, phase).SetInParent()
        assert getattr(full.ProcessingResponse.parse(answer.SerializeToString()), phase) is not None
