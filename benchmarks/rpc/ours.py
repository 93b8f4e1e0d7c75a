"""The full path: contract, validation both ways, deadline, context, admission, error mapping, balancing."""

from typing import Any

from payload import User

from omnitron.declare.rpc import rpc
from omnitron.declare.service import service
from omnitron.rpc.client import RpcClient
from omnitron.rpc.context import call_context, use_call
from omnitron.rpc.contract import contract_of
from omnitron.rpc.endpoints import Directory, Endpoint, ServiceRecord
from omnitron.rpc.server import RpcServer
from omnitron.wire.envelope import Principal


@service("echo@1.0.0")
class Echo:
    @rpc
    async def user(self, user: User) -> User:
        return user

    @rpc
    async def record(self, record: dict[str, Any]) -> dict[str, Any]:
        return record

    @rpc
    async def blob(self, data: memoryview) -> memoryview:
        return data


CONTEXT = call_context(
    principal=Principal("user:1", frozenset({"trader"})),
    trace="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)


async def serve(sock):
    server = RpcServer(name="bench/echo/0")
    server.add(contract_of(Echo), Echo())
    await server.serve(sock)


class Client:
    """Calls carry a principal and a trace, as behind an HTTP edge."""

    def __init__(self, path):
        record = ServiceRecord("bench", "echo", "1.0.0", "Echo", (Endpoint("bench/echo/0", path),))
        self.client = RpcClient(Directory("bench", [record]))
        self.echo = self.client.proxy(Echo)
        self._scope = use_call(CONTEXT)
        self._scope.__enter__()

    def call(self, value):
        if isinstance(value, bytes):
            return self.echo.blob(value)
        return self.echo.record(value) if isinstance(value, dict) else self.echo.user(value)

    async def close(self):
        self._scope.__exit__(None, None, None)
        await self.client.close()


async def connect(path):
    return Client(path)
