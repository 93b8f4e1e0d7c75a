"""rpyc; the value as MessagePack, since rpyc passes containers by reference."""

from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.peers.threads import ThreadedClient

TITLE = "rpyc"
NEEDS = ("rpyc",)
encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode


def serve(port: int, ready: Callable[[], None]) -> None:
    import rpyc
    from rpyc.utils.server import ThreadedServer

    class Echo(rpyc.Service):
        def exposed_echo(self, data: bytes) -> bytes:
            return encode(decode(data))

    server = ThreadedServer(Echo, hostname="127.0.0.1", port=port)
    ready()
    server.start()


class Client(ThreadedClient):
    def __init__(self, port: int) -> None:
        import rpyc

        def connect() -> Callable[[Any], Any]:
            root = rpyc.connect("127.0.0.1", port).root
            return lambda value: decode(root.echo(encode(value)))

        super().__init__(connect)
