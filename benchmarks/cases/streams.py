"""The streams kit beside redis-py with hiredis, on the same server, in batches of the same size."""

import asyncio

from benchmarks.harness.row import Row
from benchmarks.streams.bench_streams import CONSUME, SEND, measure


def run(quick: bool) -> list[Row]:
    found = asyncio.run(measure(quick))
    return [
        Row(name=f"{what}, {batch:,} a batch", value=kit, unit="messages/s", better="higher", peer="redis-py + hiredis",
            peer_value=plain, ratio_limit=0.8)
        for what in (SEND, CONSUME)
        for batch, (plain, kit) in found[what].items()
    ]  # fmt: skip
