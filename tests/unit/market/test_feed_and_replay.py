"""The client against the real replay server on loopback: every trade arrives, whatever the connection does."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus

from market.feeds import EXCHANGES
from market.feeds.addresses import parse_feeds
from market.feeds.client import BACKOFF_MAX_S, FeedStats, backoff_s, run_feed
from market.recordings import Session, load
from market.replay import Pace, Replay, main, replaying
from market.trades import Trade, unique
from omnitron.base.clock import SystemClock
from omnitron.base.errors import DefinitionError, NotFound, OperationError
from omnitron.base.rand import SeededRand

DEADLINE_S = 20.0


class HurriedClock(SystemClock):
    """A thousand seconds in one: backoff and heartbeats take part without being waited for."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 1000)


@dataclass
class Collected:
    trades: list[Trade]
    stats: FeedStats


@asynccontextmanager
async def collecting(name: str, url: str, **options: object) -> AsyncIterator[Collected]:
    held = Collected([], FeedStats())

    async def keep(trades: Sequence[Trade]) -> None:
        held.trades.extend(trades)

    feed = run_feed(name, url, keep, stats=held.stats, clock=HurriedClock(), rand=SeededRand(1), **options)  # type: ignore[arg-type]
    task = asyncio.create_task(feed)
    try:
        yield held
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not held.stats.connected


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not reached():  # noqa: ASYNC110 - what is waited for happens on the other side of a socket
            await asyncio.sleep(0.005)


def recorded(session: Session) -> list[Trade]:
    return unique(t for frame in session.frames for t in EXCHANGES[session.exchange].parse(frame.frame))


@pytest.mark.parametrize("name", sorted(EXCHANGES))
async def test_every_trade_of_a_session_arrives_in_order(data: Path, name: str) -> None:
    sessions = load(data)
    expected = recorded(sessions[name])
    async with replaying(Replay(sessions, Pace(speed=0))) as base, collecting(name, f"{base}/{name}") as held:
        await until(lambda: held.stats.frames >= len(sessions[name].frames))  # heartbeats are answered, too
        assert unique(held.trades) == expected
        assert (held.stats.connections, held.stats.connected) == (1, True)


@pytest.mark.parametrize("name", ["bybit", "kraken"])
async def test_every_trade_arrives_although_the_connection_is_cut_again_and_again(data: Path, name: str) -> None:
    sessions = load(data)
    expected = recorded(sessions[name])
    replay = Replay(sessions, Pace(speed=0, drop_every=17))
    async with replaying(replay) as base, collecting(name, f"{base}/{name}") as held:
        await until(lambda: len(unique(held.trades)) == len(expected))
        assert unique(held.trades) == expected
        assert held.stats.connections == replay.connections[name] > 3
        assert len(held.trades) > len(expected)


async def test_plain_frames_are_sent_byte_for_byte(data: Path) -> None:
    sessions = load(data)
    async with replaying(Replay(sessions, Pace(speed=0))) as base, connect(f"{base}/bitstamp", proxy=None) as socket:
        for frame in sessions["bitstamp"].frames:
            assert await socket.recv() == frame.frame
        await socket.send("ping")
        assert await socket.recv() == "pong"


async def test_a_looping_session_starts_over(data: Path) -> None:
    sessions = load(data)
    frames = sessions["kraken"].frames
    replay = Replay(sessions, Pace(speed=0, loop=True))
    async with replaying(replay) as base, connect(f"{base}/kraken", proxy=None) as socket:
        assert [await socket.recv() for _ in range(len(frames) + 1)][-1] == frames[0].frame


async def test_an_exchange_that_is_not_recorded_is_refused(data: Path) -> None:
    async with replaying(Replay(load(data))) as base:
        with pytest.raises(InvalidStatus, match="404"):
            async with connect(f"{base}/mtgox", proxy=None):
                pass


@asynccontextmanager
async def exchange(behaviour: Callable[[ServerConnection], object]) -> AsyncIterator[str]:
    async with serve(behaviour, "127.0.0.1", 0, compression=None) as server:  # type: ignore[arg-type]
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_feed_subscribes_again_after_each_reconnection_and_sends_heartbeats() -> None:
    heard: list[str] = []

    async def hang_up_after_two(connection: ServerConnection) -> None:
        heard.append(str(await connection.recv()))
        heard.append(str(await connection.recv()))

    async with exchange(hang_up_after_two) as url, collecting("okx", url, symbols=["BTC-USDT"]) as held:
        await until(lambda: len(heard) >= 6)
    (subscription,) = EXCHANGES["okx"].subscribe(["BTC-USDT"])
    assert heard[:6] == [subscription, "ping"] * 3
    assert held.stats.connections >= 3


async def test_noise_and_broken_frames_are_counted_and_end_nothing(data: Path) -> None:
    good = recorded(load(data)["okx"])[0]
    row = {
        "instId": good.symbol,
        "tradeId": good.id,
        "px": str(good.price),
        "sz": str(good.size),
        "ts": good.time_us // 1000,
    }
    frames = [json.dumps({"arg": {"channel": "trades"}, "data": [r]}) for r in ({**row, "px": "-1"}, row)]

    async def babble(connection: ServerConnection) -> None:
        for frame in ("{", '{"event":"error"}', b"\x00\xff", *frames):
            await connection.send(frame)
        await connection.send(b"\xff", text=True)
        await connection.wait_closed()

    async with exchange(babble) as url, collecting("okx", url) as held:
        await until(lambda: held.stats.frames == 6)
        assert held.trades == [good]
        assert held.stats.rejected == {"not JSON": 3, "price": 1}
        assert held.stats.connections == 1


async def test_a_slow_consumer_holds_the_sender_up_instead_of_filling_memory() -> None:
    sent = 0
    frame = json.dumps({"arg": {"channel": "trades"}, "data": [], "padding": "x" * 100_000})
    row = {"instId": "BTC-USDT", "tradeId": "1", "px": "1", "sz": "1", "ts": "1"}
    first = json.dumps({"arg": {"channel": "trades"}, "data": [row]})

    async def pour(connection: ServerConnection) -> None:
        nonlocal sent
        await connection.send(first)
        while True:
            await connection.send(frame)
            sent += 1

    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(trades: Sequence[Trade]) -> None:
        started.set()
        await go_on.wait()

    async with exchange(pour) as url:
        task = asyncio.create_task(run_feed("okx", url, slow))
        await asyncio.wait_for(started.wait(), DEADLINE_S)
        before = -1
        while before != sent:  # until the sender stands still
            before = sent
            for _ in range(200):
                await asyncio.sleep(0.001)
        assert sent < 1000
        go_on.set()
        await until(lambda: sent > before)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_consumer_that_fails_ends_the_feed_with_its_own_error(data: Path) -> None:
    async def fail(trades: Sequence[Trade]) -> None:
        raise ConnectionError("the stream is gone")

    async with replaying(Replay(load(data), Pace(speed=0))) as base:
        with pytest.raises(ConnectionError, match="the stream is gone"):
            await asyncio.wait_for(run_feed("kraken", f"{base}/kraken", fail), DEADLINE_S)


async def test_a_feed_goes_on_trying_where_nobody_listens_yet(data: Path, unused_tcp_port: int) -> None:
    sessions = load(data)
    url = f"ws://127.0.0.1:{unused_tcp_port}/kraken"
    async with collecting("kraken", url) as held:
        await until(lambda: "can not connect" in held.stats.last_error)
        async with replaying(Replay(sessions, Pace(speed=0)), port=unused_tcp_port):
            await until(lambda: held.stats.frames >= len(sessions["kraken"].frames))
            assert unique(held.trades) == recorded(sessions["kraken"])


async def test_the_command_serves_the_recordings_and_says_that_they_are_not_live(data: Path) -> None:
    command = (sys.executable, "-m", "market.replay", "--dir", str(data), "--port", "0", "--rebase", "--loop")
    process = await asyncio.create_subprocess_exec(*command, cwd=data.parent, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_S):
            label, feeds = await process.stdout.readline(), await process.stdout.readline()
        addresses = parse_feeds(feeds.decode().removeprefix("MARKET_FEEDS=").strip())
        assert b"not live" in label
        assert sorted(addresses) == sorted(EXCHANGES)
        async with collecting("kraken", addresses["kraken"]) as held:
            await until(lambda: held.stats.connections == 1)
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize(
    ("arguments", "says"), [(["--dir", "nowhere"], "holds no recordings"), (["--history", "5x"], "can not be read")]
)
def test_the_command_says_in_words_what_is_wrong(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert says in result.output and "Traceback" not in result.output


class NotingClock(SystemClock):
    """Does not wait, and remembers how long it should have."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)


async def delays(behaviour: Callable[[ServerConnection], object], count: int) -> list[float]:
    async def ignore(trades: Sequence[Trade]) -> None:
        return None

    clock = NotingClock()
    async with exchange(behaviour) as url:  # binance wants no heartbeats, so every sleep is a backoff
        task = asyncio.create_task(run_feed("binance", url, ignore, clock=clock, rand=SeededRand(3)))
        await until(lambda: len(clock.asked) >= count)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    return clock.asked[:count]


async def test_waiting_grows_while_an_exchange_sends_nothing_and_not_once_it_does() -> None:
    async def silent(connection: ServerConnection) -> None:
        await connection.close()

    async def talking(connection: ServerConnection) -> None:
        await connection.send("{}")

    growing, steady = await delays(silent, 5), await delays(talking, 5)
    assert growing[4] >= 4 > growing[0]
    assert max(steady) <= 0.5


def test_backoff_doubles_up_to_its_bound_and_is_half_chance() -> None:
    rand = SeededRand(7)
    delays = [backoff_s(failures, rand) for failures in range(1, 200)]
    for failures, delay in enumerate(delays, start=1):
        longest = min(BACKOFF_MAX_S, 0.5 * 2 ** (failures - 1))
        assert longest / 2 <= delay <= longest
    assert len(set(delays)) == len(delays)


def test_feeds_are_read_from_text() -> None:
    assert parse_feeds(" binance=ws://h:1/a?streams=x=y , OKX=wss://h/p ,") == {
        "binance": "ws://h:1/a?streams=x=y",
        "okx": "wss://h/p",
    }
    assert parse_feeds("kraken") == {"kraken": "wss://ws.kraken.com"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("binanc=ws://h:1", "Did you mean 'binance'"),
        ("okx=ws://h:1,okx=ws://h:2", "twice"),
        ("okx=http://h:1", "not a WebSocket URL"),
        ("okx=ws://", "not a WebSocket URL"),
        ("okx=ws://h:port/x", "not a WebSocket URL"),
        ("okx=", "not a WebSocket URL"),
        (" , ", "names no exchange"),
    ],
)
def test_feeds_that_can_not_be_meant_are_refused_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(DefinitionError, match=says) as caught:
        parse_feeds(text)
    assert caught.value.remedy


def test_recordings_that_can_not_be_read_name_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load(tmp_path)
    (tmp_path / "okx.jsonl").write_text('{"t": 1, "frame": "x"}\n{"t": 1}\n')
    with pytest.raises(OperationError, match=r"okx\.jsonl:2"):
        load(tmp_path)
    (tmp_path / "okx.jsonl").write_text("\n")
    with pytest.raises(OperationError, match="empty"):
        load(tmp_path)
