"""A local stand-in for the exchanges: serves recorded sessions over real WebSockets, `ws://host:port/<exchange>`.

    python -m market.replay --dir data --port 9000 --rebase

Plain, it sends the frames byte for byte as recorded; every connection starts at the first frame, and stays open after
the last, or starts over with `--loop`. With `--rebase` it sends an endless session of today (see `rebase.py`), to each
new connection first the trades of the last `--history`.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from market.rebase import Timeline
from market.recordings import Session, load
from omnitron.base.clock import Clock, SystemClock
from omnitron.base.errors import OmnitronError
from omnitron.base.tasks import TaskSet
from omnitron.base.units import seconds

PING_INTERVAL_S: Final = 20.0
CLOSE_TIMEOUT_S: Final = 2.0
MAX_REQUEST_BYTES: Final = 64 * 1024

log = logging.getLogger("market.replay")


@dataclass(frozen=True, slots=True)
class Pace:
    """How sessions are sent.

    speed: times their own pace; 0 is as fast as the receiver reads (not with `rebase`, which is bound to the clock).
    history_s: with `rebase`, seconds of the past a new connection is sent at once. drop_every: for tests; the nth
    connection to an exchange is cut after n times as many frames, so that a receiver that returns gets all in the end.
    """

    speed: float = 1.0
    loop: bool = False
    rebase: bool = False
    history_s: float = 0.0
    drop_every: int | None = None


@dataclass(slots=True)
class Replay:
    """What one replay server serves and has served."""

    sessions: Mapping[str, Session]
    pace: Pace = field(default_factory=Pace)
    clock: Clock = field(default_factory=SystemClock)
    connections: Counter[str] = field(default_factory=Counter)
    timelines: Mapping[str, Timeline] = field(init=False)

    def __post_init__(self) -> None:
        self.timelines = {name: Timeline(session) for name, session in self.sessions.items()}

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        """404 for a path that is no recorded exchange."""
        if _exchange(request) in self.sessions:
            return None
        return connection.respond(HTTPStatus.NOT_FOUND, f"Recorded here: {', '.join(sorted(self.sessions))}.\n")

    async def serve(self, connection: ServerConnection) -> None:
        """One connection: send the session while whatever the other side says is read and, but for pings, ignored."""
        assert connection.request is not None
        name = _exchange(connection.request)
        self.connections[name] += 1
        limit = self.pace.drop_every and self.pace.drop_every * self.connections[name]
        sending = TaskSet(f"replay {name}")
        sending.start(self._send(connection, name, limit), "send")
        try:
            async for text in connection:
                if text == "ping":
                    await connection.send("pong")
        except ConnectionClosed:
            log.info("%s: the receiver went away without closing", name)
        finally:
            await sending.close()

    async def _send(self, connection: ServerConnection, name: str, limit: int | None) -> None:
        frames = self._today(name) if self.pace.rebase else self._recorded(self.sessions[name])
        sent = 0
        try:
            async for frame in frames:
                if sent == limit:
                    connection.transport.abort()
                    return
                await connection.send(frame)
                await asyncio.sleep(0)  # `send` waits only when buffers are full: let the others have their turn
                sent += 1
        except ConnectionClosed:
            return  # the reader of the connection sees it, too

    async def _recorded(self, session: Session) -> AsyncIterator[str]:
        while True:
            started, first = self.clock.monotonic(), session.frames[0].t
            for recorded in session.frames:
                if self.pace.speed > 0:
                    due = started + (recorded.t - first) / self.pace.speed
                    await self.clock.sleep(max(0.0, due - self.clock.monotonic()))
                yield recorded.frame
            if not self.pace.loop:
                return

    async def _today(self, name: str) -> AsyncIterator[str]:
        joined = self.clock.now()
        for timed in self.timelines[name].since(joined - self.pace.history_s):
            if timed.due >= joined:
                await self.clock.sleep(max(0.0, timed.due - self.clock.now()))
                yield timed.frame
            elif timed.trades:
                yield timed.frame


@asynccontextmanager
async def replaying(replay: Replay, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve while the block runs; gives `ws://host:port`, to which `/<exchange>` is added."""
    server: Server
    async with serve(
        replay.serve,
        host,
        port,
        process_request=replay.refuse,
        compression=None,  # it never leaves the machine
        ping_interval=PING_INTERVAL_S,
        close_timeout=CLOSE_TIMEOUT_S,
        max_size=MAX_REQUEST_BYTES,
    ) as server:
        bound = server.sockets[0].getsockname()[1]
        yield f"ws://{host}:{bound}"


def _exchange(request: Request) -> str:
    return urlsplit(request.path).path.strip("/")


async def _run(replay: Replay, host: str, port: int) -> None:
    async with replaying(replay, host, port) as base:
        feeds = ",".join(f"{name}={base}/{name}" for name in sorted(replay.sessions))
        click.echo(f"Local replay of recorded sessions, not live exchanges.\nMARKET_FEEDS={feeds}")
        await asyncio.Event().wait()


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=Path("data"), help="Folder of *.jsonl.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=9000, show_default=True, help="0 takes a free one.")
@click.option("--speed", type=click.FloatRange(min=0), default=1.0, show_default=True, help="0: as fast as read.")
@click.option("--loop", is_flag=True, help="Start over after the last frame.")
@click.option("--rebase", is_flag=True, help="An endless session of today: times, identities and prices are changed.")
@click.option("--history", default="0s", show_default=True, help='With --rebase: how much past to send first, "90m".')
def main(folder: Path, host: str, port: int, speed: float, loop: bool, rebase: bool, history: str) -> None:
    """Serve recorded sessions as if they were the exchanges."""
    try:
        pace = Pace(speed=speed, loop=loop, rebase=rebase, history_s=seconds(history, what="history"))
        asyncio.run(_run(Replay(load(folder), pace), host, port))
    except OmnitronError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("stopped")


if __name__ == "__main__":
    main()
