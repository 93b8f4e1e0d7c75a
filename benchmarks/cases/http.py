"""RPC over HTTP beside a bare ASGI application that does the same, on the same uvicorn."""

import asyncio

from benchmarks.harness.row import Row
from benchmarks.http.bench_http import BARE, RPC, measure


def run(quick: bool) -> list[Row]:
    found = asyncio.run(measure(0.5 if quick else 4.0, (BARE, RPC)))
    ours, bare = found[RPC], found[BARE]
    note = "64 keep-alive connections; parsing, validation, admission and JSON of a call of two numbers"
    return [
        Row(
            name="RPC over HTTP, requests/s",
            value=ours["per_s"],
            unit="/s",
            better="higher",
            peer="bare ASGI, uvicorn",
            peer_value=bare["per_s"],
            ratio_limit=0.7,
            note=note,
        ),
        Row(
            name="its CPU per request",
            value=ours["cpu_us"],
            unit="µs",
            peer="bare ASGI, uvicorn",
            peer_value=bare["cpu_us"],
            note="of the serving process alone; steadier than requests/s on a busy machine",
        ),
    ]
