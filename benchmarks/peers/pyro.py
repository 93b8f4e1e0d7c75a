"""Pyro5 with its own serializer."""

from collections.abc import Callable
from typing import Any

from benchmarks.peers.threads import ThreadedClient

TITLE = "Pyro5"
NEEDS = ("Pyro5", "serpent")


def serve(port: int, ready: Callable[[], None]) -> None:
    import Pyro5
    import Pyro5.api

    Pyro5.config.THREADPOOL_SIZE = 100

    @Pyro5.api.expose
    class Echo:
        def echo(self, value: Any) -> Any:
            return value

    daemon = Pyro5.api.Daemon(host="127.0.0.1", port=port)
    daemon.register(Echo(), "echo")
    ready()
    daemon.requestLoop()


class Client(ThreadedClient):
    def __init__(self, port: int) -> None:
        import Pyro5.api

        super().__init__(lambda: Pyro5.api.Proxy(f"PYRO:echo@127.0.0.1:{port}").echo)
