"""The market of recipe 1 with exchanges of the test's own: a real WebSocket server that replays recorded sessions."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import oracle

from omnitron.testing.real import RealSystem

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-stream-fan-in"
RECORDED_S = 31  # the longest session
EXCHANGES = ("binance", "bitstamp", "bybit", "coinbase", "kraken", "okx")
INTERVALS = ("5m", "1h", "1d")
LIMIT = 1000


@contextmanager
def exchanges(speed: float) -> Iterator[str]:
    """All six, as MARKET_FEEDS: frames as recorded, `speed` times as fast (0: as fast as they are read)."""
    command = [sys.executable, "-m", "market.replay", "--dir", "data", "--port", "0", "--speed", str(speed)]
    process = subprocess.Popen(command, cwd=EXAMPLE, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    try:
        process.stdout.readline()
        feeds = process.stdout.readline().strip().removeprefix("MARKET_FEEDS=")
        assert sorted(feed.partition("=")[0] for feed in feeds.split(",")) == sorted(EXCHANGES)
        yield feeds
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def recorded() -> dict[str, list[Any]]:
    """All trades of the recordings by symbol, read without the example's code."""
    by_symbol: dict[str, list[Any]] = {}
    for exchange in EXCHANGES:
        for trade in oracle.trades(EXAMPLE / "data", exchange).values():
            by_symbol.setdefault(trade[3], []).append(trade)
    return by_symbol


def expected() -> dict[str, Any]:
    """What every path of the API must answer, computed from the recordings alone."""
    by_symbol = recorded()
    answers: dict[str, Any] = {"/symbols": sorted(by_symbol)}
    for symbol, trades in by_symbol.items():
        answers[f"/vwap/{symbol}"] = oracle.vwap(symbol, trades)
        for interval in INTERVALS:
            answers[f"/candles/{symbol}?interval={interval}&limit={LIMIT}"] = oracle.candles(trades, interval)
    return answers


class Market:
    """The running market as its visitors see it."""

    def __init__(self, system: RealSystem) -> None:
        self.system = system
        self.url = system.url("market/http")
        self._client = httpx.Client(base_url=self.url, timeout=30.0, trust_env=False)

    def __enter__(self) -> "Market":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str) -> httpx.Response:
        return self._client.get(path)

    def trades(self) -> int:
        """How many have been counted."""
        return sum(self.get(f"/vwap/{symbol}").json()["trades"] for symbol in self.get("/symbols").json())

    def wrong(self, answers: dict[str, Any]) -> dict[str, Any]:
        """Paths that do not answer what they should, with what they do."""
        got = {path: self.get(path).json() for path in answers}
        return {path: answer for path, answer in got.items() if answer != answers[path]}
