"""A typed message in the wrapper that Envoy's extension points take."""

from betterproto2 import Message
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.google.protobuf import Any


def packed(message: Message) -> Any:
    """The message as `google.protobuf.Any`: its fields beside `@type` when written as YAML."""
    return Any.pack(message)


def envoy_grpc(cluster: str) -> core.GrpcService:
    """A gRPC service reached through a cluster of the same Envoy."""
    return core.GrpcService(envoy_grpc=core.GrpcServiceEnvoyGrpc(cluster_name=cluster))
