"""A replica inside a test: the real one, but for its process, its keeper, and what would run by itself."""

import dataclasses
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from omnitron.base.clock import Clock
from omnitron.base.rand import Rand
from omnitron.child.assembly import Assembly
from omnitron.child.http.server import BACKLOG
from omnitron.child.reader import contract
from omnitron.child.replica import Replica
from omnitron.control.replica import BootSpec
from omnitron.model.process import Process
from omnitron.model.system import System
from omnitron.rpc.endpoints import Endpoint, ServiceRecord
from omnitron.rpc.server import RpcServer

TEST_STACK = "test"
DRAIN_S = 2.0
"""How long calls that a test has left running may take to end."""


def listen(path: Path) -> socket.socket:
    """A listening Unix socket."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(BACKLOG)
    return sock


class HostedReplica(Replica):
    """Boots and drains as any replica does. Jobs and consumers rest until the test fires or feeds them.

    folder: of its sockets, and below it the state folder. Boot errors are raised, not reported.
    """

    def __init__(
        self, app: str, system: System, process: Process, cwd: Path, folder: Path, overrides: Mapping[Any, Any],
        clock: Clock, rand: Rand,
    ) -> None:  # fmt: skip
        self.path = folder / f"{process.name}.rpc"
        self.http_path = folder / f"{process.name}.http" if process.transports.http is not None else None
        self._listener = listen(self.path)
        boot = BootSpec(
            stack=TEST_STACK,
            app=app,
            version=system.version,
            process=msgspec.to_builtins(process),
            slot=0,
            incarnation=1,
            cwd=str(cwd),
            control_fd=-1,
            http_fd=listen(self.http_path).detach() if self.http_path is not None else None,
            keeper_socket=str(folder / "keeper.sock"),
            siblings=process.instances,
            dev=True,
        )
        super().__init__(boot, process, clock, rand)
        self.given.update(overrides)
        self._stop_s = DRAIN_S

    @property
    def assembly(self) -> Assembly:
        assert self._assembly is not None
        return self._assembly

    def instance(self, cls: type) -> Any:
        """Of one of its services."""
        assert self._container is not None
        return self._container[cls]

    async def open(self) -> None:
        """Boot. Raises what the boot of a real replica reports."""
        try:
            await self._boot(lambda: None)
        except BaseException:
            self._listener.close()
            await self._close()
            await self.rpc.close()
            raise
        await self.rpc.serve(self._listener)

    async def close(self) -> None:
        """Drain and end, with stop hooks and the ends of providers."""
        await self._drain()

    async def _enter_runners(self, assembly: Assembly) -> None:
        """The test says when a job fires and what a consumer is given."""


def record(app: str, cls: type, replica: str, path: Path) -> ServiceRecord:
    """What the directory says of a service."""
    found = contract(cls)
    return ServiceRecord(app, found.name, found.version, found.class_name, (Endpoint(replica, str(path), 1),))


class Stand:
    """What stands in for one remote service: an object of the test, called through the real wire.

    It need not have all methods of the service; those it has are called with checked arguments, as the real ones are.
    """

    def __init__(self, cls: type, stub: object, folder: Path) -> None:
        self.cls = cls
        self.name = f"the override of {cls.__qualname__}"
        self.path = folder / f"override.{contract(cls)}"
        self._stub = stub
        self._server = RpcServer(name=self.name)

    async def open(self) -> None:
        whole = contract(self.cls)
        has = {name: method for name, method in whole.methods.items() if callable(getattr(self._stub, name, None))}
        self._server.add(dataclasses.replace(whole, methods=has), self._stub)
        await self._server.serve(listen(self.path))

    async def close(self) -> None:
        await self._server.close()
