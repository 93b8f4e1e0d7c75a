"""A worker process: `rpc_worker.py FD NAME`. SIGTERM drains it, and then it ends with status 0."""

import asyncio
import contextlib
import signal
import socket
import sys

from rpc_services import Control, Work

from omnitron.rpc.contract import contract_of
from omnitron.rpc.server import RpcServer


async def main(fd: int, name: str) -> None:
    server = RpcServer(name=name)
    server.add(contract_of(Work), Work())
    server.add(contract_of(Control), Control(), system=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await server.serve(socket.socket(fileno=fd))
    await stop.wait()
    await server.drain(5)
    await server.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
