"""grpc.aio, with MessagePack in place of protobuf, so that nothing has to be generated."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

TITLE = "grpc.aio"
NEEDS = ("grpc",)
encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode


def serve(port: int, ready: Callable[[], None]) -> None:
    asyncio.run(_serve(port, ready))


async def _serve(port: int, ready: Callable[[], None]) -> None:
    import grpc

    async def echo(request: Any, context: Any) -> Any:
        return request

    handler = grpc.unary_unary_rpc_method_handler(echo, request_deserializer=decode, response_serializer=encode)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Echo": handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    ready()
    await server.wait_for_termination()


class Client:
    def __init__(self, port: int) -> None:
        import grpc

        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.call = self._channel.unary_unary(
            "/bench.Echo/Echo", request_serializer=encode, response_deserializer=decode
        )

    async def close(self) -> None:
        await self._channel.close()
