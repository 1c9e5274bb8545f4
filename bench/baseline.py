"""The comparison: an ext_proc server as one writes it first, from the documentation of grpc.aio.

It makes the same decision as `meshtrial serve` and sends the same answer, message objects built anew for
each request as generated stubs have it; the default event loop. It records nothing, measures nothing and
checks nothing that a friendly proxy would not send.
"""

import asyncio
import hashlib
import hmac
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from meshtrial.cli.plan_file import read_plan
from meshtrial.doors.ext_proc_pb2 import (
    CommonResponse,
    HeaderMutation,
    HeaderValue,
    HeaderValueOption,
    PhaseResponse,
    ProcessingRequest,
    ProcessingResponse,
)
from meshtrial.plan.model import Plan
from meshtrial.pseudonym import PseudonymKey

SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"


class Baseline:
    """The service's one method, for a plan of one experiment with two arms."""

    def __init__(self, plan: Plan, key: bytes) -> None:
        self._experiment = plan.experiments[0]
        self._digest = plan.digest
        self._key = key
        self._key_id = PseudonymKey.of(key).id

    async def process(
        self, requests: AsyncIterator[ProcessingRequest], _: object
    ) -> AsyncIterator[ProcessingResponse]:
        """Answer each message of a stream."""
        async for request in requests:
            yield self.answer(request)

    def answer(self, request: ProcessingRequest) -> ProcessingResponse:
        """The arm by MD5, as headers for the route and as metadata for the access log."""
        experiment = self._experiment
        headers = {h.key: h.raw_value.decode() for h in request.request_headers.headers.headers}
        user = headers[experiment.unit.source.name]
        digest = hashlib.md5(f"{experiment.bucketing.salt}:{user}".encode(), usedforsecurity=False)
        bucket = int(digest.hexdigest(), 16) % experiment.bucketing.buckets
        treatment = experiment.splits[0].lanes[0]
        arm = treatment.arm if bucket < treatment.live else experiment.control
        arms = f"{experiment.id}={arm.id}"
        changes = {"x-meshtrial-cluster": arm.cluster or "", **dict(arm.headers), "x-meshtrial-arms": arms}
        response = ProcessingResponse(
            request_headers=PhaseResponse(
                response=CommonResponse(
                    header_mutation=HeaderMutation(
                        set_headers=[
                            HeaderValueOption(
                                header=HeaderValue(key=name, raw_value=value.encode()),
                                append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
                            )
                            for name, value in changes.items()
                        ],
                        remove_headers=["meshtrial-force"],
                    ),
                    clear_route_cache=True,
                )
            )
        )
        unit = hmac.new(self._key, f"{experiment.unit.kind}\0{user}".encode(), "sha256").hexdigest()[:32]
        decided = {"arm": arm.id, "phase": experiment.phase, "exposed": True, "bucket": bucket}
        decided |= {"reason": "split", "unit_kind": experiment.unit.kind, "unit": unit}
        metadata: dict[str, Any] = {
            "plan": self._digest,
            "arms": arms,
            "unit": unit,
            "key": self._key_id,
            "experiments": {experiment.id: decided},
        }
        response.dynamic_metadata.update({"meshtrial": metadata})
        return response


async def serve(service: Baseline) -> None:
    """Serve on a free loopback port until the process is ended; says where in one line of JSON."""
    server = grpc.aio.server()
    process = grpc.stream_stream_rpc_method_handler(
        service.process,
        request_deserializer=ProcessingRequest.FromString,
        response_serializer=ProcessingResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Process": process}),))
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    print(json.dumps({"event": "ready", "ext_proc": f"127.0.0.1:{port}"}), flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(Baseline(read_plan(Path(sys.argv[1])), os.environ["MESHTRIAL_KEY"].encode())))
