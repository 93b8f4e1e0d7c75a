"""Each limit answers with a problem that names its knob; what one client does wrong is not felt by the others."""

import asyncio
import json
from typing import Any

Serve = Any


async def ask(edge: Any, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Write the parts, then read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause_s)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def problem(answer: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return document


async def test_a_body_that_is_too_large_is_413(serve: Serve) -> None:
    edge = await serve(max_request_size="1KiB")
    head = b"POST /rpc/market/upload HTTP/1.1\r\nhost: x\r\n"
    declared = await ask(edge, head + b"content-length: 5000000\r\n\r\n", b"x" * 1_000_000)
    chunk = b"%x\r\n" % 2000 + b"y" * 2000 + b"\r\n"
    chunked = await ask(edge, head + b"transfer-encoding: chunked\r\n\r\n", chunk, pause_s=0.05)
    for answer in (declared, chunked):
        assert answer.startswith(b"HTTP/1.1 413 "), answer
        assert "Http.max_request_size" in problem(answer)["remedy"]
    assert (await edge.client.post("/rpc/market/upload", json=["x" * 900])).json() == 900


async def test_headers_that_are_too_large_are_431(serve: Serve) -> None:
    edge = await serve(max_header_size="2KiB")
    whole = await ask(edge, b"GET /healthz HTTP/1.1\r\nhost: x\r\na: " + b"x" * 3000 + b"\r\n\r\n")
    endless = await ask(edge, b"GET /healthz HTTP/1.1\r\nhost: x\r\na: ", *[b"x" * 1000] * 5, pause_s=0.02)
    for answer in (whole, endless):
        assert answer.startswith(b"HTTP/1.1 431 "), answer
        assert "Http.max_header_size" in problem(answer)["remedy"]


async def test_headers_that_do_not_come_are_408(serve: Serve) -> None:
    edge = await serve(headers_timeout=0.3)
    answer = await ask(edge, b"GET /healthz HTTP/1.1\r\nhost:")
    assert answer.startswith(b"HTTP/1.1 408 ") and "Http.headers_timeout" in problem(answer)["remedy"]
    assert await ask(edge) == b""


async def test_a_request_that_takes_too_long_is_408_or_504(serve: Serve) -> None:
    edge = await serve(request_timeout=0.4)
    late = await ask(edge, b"POST /rpc/market/upload HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
    assert late.startswith(b"HTTP/1.1 408 ") and "Http.request_timeout" in problem(late)["remedy"]
    slow = await edge.client.post("/rpc/market/slow", json=[60])
    assert slow.status_code == 504 and "Http.request_timeout" in slow.json()["remedy"]
    assert (await edge.client.post("/rpc/market/live")).json() == 0


async def test_a_connection_too_many_is_503(serve: Serve) -> None:
    edge = await serve(max_connections=2)
    held = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(2)]
    for _, writer in held:
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    for reader, _ in held:
        await reader.readuntil(b"ok")
    answer = await ask(edge)
    assert answer.startswith(b"HTTP/1.1 503 ") and "Http.max_connections" in problem(answer)["remedy"]
    for _, writer in held:
        writer.close()


async def test_an_idle_connection_is_closed_after_its_timeout(serve: Serve) -> None:
    edge = await serve(keep_alive_timeout=0.3)
    answer = await ask(edge, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_nonsense_is_400_and_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    edge = await serve()
    assert (await ask(edge, b"\x16\x03\x01\x02\x00\x01\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    one = b'POST /rpc/market/upload HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n["%c"]'
    last = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answer = await ask(edge, one % b"a" + one % b"b" + last)
    assert answer.count(b"HTTP/1.1 200") == 3 and answer.endswith(b'{"status":"ok"}')
