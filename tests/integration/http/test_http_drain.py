"""Reloads under load: the listening socket stays open, replicas change behind it, and every request has one answer."""

import asyncio
import contextlib
import os
import socket
import time
from typing import Any

import pytest
from child_keeping import listen
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

Serve = Any
RELOADS = int(os.environ.get("OMNITRON_TEST_RELOADS", "5"))  # 50 takes two minutes


class Client:
    """Keep-alive connections that call without pause, or with one; reconnects only when told to or when idle."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.done = 0
        self.lost: list[str] = []
        self.told = 0

    async def run(self, until: asyncio.Event, pause_s: float) -> None:
        while not until.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            with contextlib.suppress(asyncio.CancelledError):
                await self._talk(reader, writer, until, pause_s)
            writer.close()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, until: asyncio.Event, pause_s: float
    ) -> None:
        while not until.is_set() and not reader.at_eof():
            try:
                writer.write(b"POST /rpc/market/live HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                await reader.readexactly(1)
            except (OSError, EOFError, TimeoutError) as error:
                self.lost.append(repr(error))
                return
            self.done += 1
            if not head.startswith(b"HTTP/1.1 200"):
                self.lost.append(head[:20].decode())
            if b"connection: close" in head:
                self.told += 1
                return
            if pause_s:
                await asyncio.sleep(pause_s)


async def reload(serve: Serve, old: Any, sock: socket.socket) -> Any:
    new = await serve(sock=sock)
    old.replica.terminate()
    assert await old.replica.exit_code() == 0
    return new


async def test_reloads_under_keep_alive_load_lose_nothing(serve: Serve) -> None:
    sock = listen()
    edge = await serve(sock=sock)
    client, until = Client(edge.port), asyncio.Event()
    pauses = [0.0] * 4 + [0.01] * 10 + [0.3] * 6
    running = [asyncio.create_task(client.run(until, pause_s)) for pause_s in pauses]
    for _ in range(RELOADS):
        edge = await reload(serve, edge, sock)
    until.set()
    await asyncio.gather(*running)
    assert client.lost == [] and client.done > 100 and client.told >= RELOADS


async def test_a_drain_lets_requests_in_flight_finish(serve: Serve) -> None:
    edge = await serve()
    slow = asyncio.create_task(edge.client.post("/rpc/market/slow", json=[1.0]))
    upload = await asyncio.open_connection("127.0.0.1", edge.port)
    upload[1].write(b'POST /rpc/market/upload HTTP/1.1\r\nhost: x\r\ncontent-length: 7\r\n\r\n["ab')
    while (await edge.client.post("/rpc/market/live")).json() == 0:
        pass
    edge.replica.terminate()
    await edge.replica.until("draining")
    upload[1].write(b'c"]')
    answer = await upload[0].read()
    assert answer.startswith(b"HTTP/1.1 200") and b"connection: close" in answer and answer.endswith(b"3")
    assert (await slow).json() == "done"
    assert await edge.replica.exit_code() == 0
    upload[1].close()


async def test_a_drain_tells_streams_to_move_on(serve: Serve) -> None:
    code = """
import asyncio
from collections.abc import AsyncIterator
from omnitron import service, rpc

@service("feed@1.0.0")
class Feed:
    @rpc(anonymous=True)
    async def forever(self) -> AsyncIterator[int]:
        while True:
            yield 1
            await asyncio.sleep(0.01)
"""
    edge = await serve(code)
    lines = []
    async with edge.client.stream("POST", "/rpc/feed/forever") as response:
        async for line in response.aiter_lines():
            if not lines:
                edge.replica.terminate()
                begun = time.monotonic()
            lines.append(line)
    assert '"code":"moved"' in lines[-1]
    assert await edge.replica.exit_code() == 0
    assert time.monotonic() - begun < 10  # not the whole drain's time of 15 s


async def test_websockets_of_an_application_are_told_that_it_restarts(serve: Serve) -> None:
    code = """
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
"""
    edge = await serve(code, process={"asgi": "app:app"})
    async with connect(f"ws://127.0.0.1:{edge.port}/") as websocket:
        await websocket.send("hello")
        assert await websocket.recv() == "hello"
        assert (await edge.client.get("/")).status_code == 500
        edge.replica.terminate()
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(websocket.recv(), 10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
    assert await edge.replica.exit_code() == 0
