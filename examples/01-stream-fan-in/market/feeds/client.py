"""One feed: connect, subscribe, hand trades on, and come back after every failure.

The next frame is read only after `on_trades` has returned. While it waits, the library's queue fills, then the
socket's buffers, and the sender is held up: a slow consumer costs time and never memory. `on_trades` failing is not the
feed's failure: it ends `run_feed`, so that trades that could not be handed on are not silently skipped.
"""

import ipaddress
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from market.feeds import EXCHANGES, Exchange
from market.feeds.exchange import Reason
from market.trades import Trade
from omnitron.base.clock import Clock, SystemClock
from omnitron.base.rand import Rand, SystemRand
from omnitron.base.tasks import TaskSet

MAX_FRAME_BYTES: Final = 16 * 2**20  # full order books come as one frame of several MiB
MAX_QUEUED_FRAMES: Final = 16
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0
PING_INTERVAL_S: Final = 20.0
PING_TIMEOUT_S: Final = 20.0
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 30.0

log = logging.getLogger("market.feeds")


@dataclass(slots=True)
class FeedStats:
    """What a feed has done so far, for health and metrics. `trades` counts repetitions too."""

    connected: bool = False
    connections: int = 0
    frames: int = 0
    trades: int = 0
    rejected: Counter[Reason] = field(default_factory=Counter)
    last_error: str = ""


def backoff_s(failures: int, rand: Rand) -> float:
    """Seconds to wait after that many failures in a row: doubling, at most 30, the upper half of it by chance.

    Chance keeps collectors that lost an exchange together from all coming back together.
    """
    longest = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 16))
    return longest * (1 + rand.random()) / 2


async def run_feed(
    name: str,
    url: str,
    on_trades: Callable[[Sequence[Trade]], Awaitable[None]],
    *,
    symbols: Sequence[str] = (),
    stats: FeedStats | None = None,
    clock: Clock | None = None,
    rand: Rand | None = None,
) -> None:
    """Hand every trade the exchange `name` sends at `url` to `on_trades`, in order, until cancelled.

    symbols: markets to subscribe to, as `BASE-QUOTE` or in the exchange's own spelling. A feed reconnects, and
    subscribes again, after any failure; what was traded meanwhile the exchange does not send again, what it does send
    again is for the receiver to recognise by identity. Raises only what `on_trades` raises.
    """
    exchange, stats = EXCHANGES[name], stats or FeedStats()
    clock, rand = clock or SystemClock(), rand or SystemRand()
    failures = 0
    while True:
        frames_before = stats.frames
        try:
            socket = await _connect(url)
        except (OSError, WebSocketException) as error:  # TimeoutError is an OSError
            stats.last_error = f"can not connect: {error or type(error).__name__}"
        else:
            stats.connected, stats.connections = True, stats.connections + 1
            try:
                await _converse(socket, exchange, on_trades, symbols, stats, clock)
                stats.last_error = f"connection closed ({socket.close_code} {socket.close_reason})"
            finally:
                stats.connected = False
                await socket.close()
        failures = 1 if stats.frames > frames_before else failures + 1
        delay_s = backoff_s(failures, rand)
        log.warning("feed %s at %s: %s; trying again in %.1f s", name, url, stats.last_error, delay_s)
        await clock.sleep(delay_s)


async def _connect(url: str) -> ClientConnection:
    return await connect(
        url,
        proxy=None if _is_loopback(url) else True,
        max_size=MAX_FRAME_BYTES,
        max_queue=MAX_QUEUED_FRAMES,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
    )


async def _converse(
    socket: ClientConnection,
    exchange: Exchange,
    on_trades: Callable[[Sequence[Trade]], Awaitable[None]],
    symbols: Sequence[str],
    stats: FeedStats,
    clock: Clock,
) -> None:
    """Everything on one connection; returns when that has ended."""
    beats = TaskSet(f"feed {exchange.name}")
    if exchange.heartbeat is not None:
        beats.start(_beat(socket, exchange.heartbeat, exchange.heartbeat_s, clock), "heartbeat")
    try:
        async with aclosing(_frames(socket, exchange.subscribe(symbols))) as frames:
            async for frame in frames:
                stats.frames += 1
                reading = exchange.read(frame)
                for rejected in reading.rejected:
                    stats.rejected[rejected.reason] += 1
                    log.debug("feed %s: rejected (%s): %s", exchange.name, rejected.reason, rejected.detail)
                if reading.trades:
                    stats.trades += len(reading.trades)
                    await on_trades(reading.trades)
    finally:
        await beats.close()


async def _frames(socket: ClientConnection, requests: Sequence[str]) -> AsyncGenerator[bytes, None]:
    """Subscribe, then every frame until the connection ends, undecoded: what is in it is the adapter's to judge."""
    try:
        for text in requests:
            await socket.send(text)
        while True:
            yield await socket.recv(decode=False)
    except ConnectionClosed:
        return


async def _beat(socket: ClientConnection, frame: str, interval_s: float, clock: Clock) -> None:
    try:
        while True:
            await clock.sleep(interval_s)
            await socket.send(frame)
    except ConnectionClosed:
        return  # whoever reads the connection sees it, too, and says so


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
