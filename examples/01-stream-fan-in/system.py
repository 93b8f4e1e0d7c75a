"""The market: exchange connections -> stream -> aggregation -> candles -> HTTP. Recipe 1."""

import os
import sys

from omnitron import DatabaseNeed, Health, Http, Needs, Process, Shutdown, Topology, Transports, define_system

# Without MARKET_FEEDS the trades come from a local replay of recorded sessions; the page says so.
REPLAY_PORT = int(os.environ.get("MARKET_REPLAY_PORT", "3004"))
EXCHANGES = ("binance", "bitstamp", "bybit", "coinbase")
LIVE = os.environ.get("MARKET_FEEDS")
FEEDS = LIVE or ",".join(f"{name}=ws://127.0.0.1:{REPLAY_PORT}/{name}" for name in EXCHANGES)

replay = Process(
    name="replay",
    command=[
        sys.executable,
        "-m",
        "market.replay",
        "--dir",
        "data",
        "--port",
        str(REPLAY_PORT),
        "--rebase",
        "--loop",
        "--history",
        "90m",
    ],
    health=Health(probe=f"tcp:{REPLAY_PORT}"),
)

system = define_system(
    name="market",
    version="1.0.0",
    needs=Needs(database=DatabaseNeed(migrations="migrations"), redis=True),
    env={"MARKET_FEEDS": FEEDS, "MARKET_SOURCE": "live" if LIVE else "local replay"},
    processes=[
        Process(
            name="http",
            module="market.api",
            transports=Transports(http=Http(port=3003, host="0.0.0.0", cors=True)),
            topology=Topology(access=["OhlcvAggregatorWorker"]),
        ),
        Process(
            name="collector",
            module="market.collector",
            singleton=True,
            depends_on=() if LIVE else ("replay",),
            health=Health(interval="15s", timeout="10s"),
        ),
        Process(
            name="stream-aggregator",
            module="market.aggregator",
            health=Health(interval="15s", timeout="5s"),
        ),
        Process(
            name="ohlcv-aggregator",
            module="market.ohlcv",
            instances=2,
            health=Health(interval="30s", timeout="5s"),
            topology=Topology(expose=True),
        ),
        *([] if LIVE else [replay]),
    ],
    shutdown=Shutdown(priority=20, timeout="15s", drain_connections=True),
)
