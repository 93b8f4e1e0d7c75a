"""Constant HTTP load from a thread of its own: keep-alive connections that also say which one it was that failed.

A raw client on purpose: nothing is retried, so every request that was not answered is seen.
"""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

ANSWER_TIMEOUT_S = 60.0
END_TIMEOUT_S = 90.0


@dataclass(slots=True)
class Answer:
    """status 0: no answer, for the reason in `error`. server: pid of the replica that has the connection."""

    path: str
    connection: int
    at: float
    took: float
    status: int
    body: Any = None
    error: str = ""
    server: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.status == 200


@dataclass(slots=True)
class Tally:
    """What came of the load so far."""

    answers: list[Answer] = field(default_factory=list)

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if not answer.ok]

    @property
    def succeeded(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.ok]

    def longest_stall_ms(self) -> float:
        """The longest time anybody waited for an answer."""
        return max((answer.took for answer in self.answers), default=0.0) * 1000

    def healed_ms(self, since: float) -> float:
        """From `since` to the last moment at which a request that then failed, or took over 100 ms, had its end."""
        late = [a.at + a.took for a in self.answers if a.at + a.took >= since and (not a.ok or a.took > 0.1)]
        return max(0.0, max(late, default=since) - since) * 1000


class Connection:
    """One connection that is kept alive; `server` from the answers' header `x-served-by`."""

    def __init__(self, url: str, number: int) -> None:
        parts = urlsplit(url)
        self.host, self.port, self.number = parts.hostname, parts.port, number
        self.server: int | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> Answer:
        started = time.monotonic()
        answer = Answer(path, self.number, started, 0.0, 0)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._exchange(path, answer)
        except (OSError, EOFError, TimeoutError) as error:
            answer.error = f"{type(error).__name__}: {error}"
            answer.server = self.server
            await self.close()
        answer.took = time.monotonic() - started
        return answer

    async def _exchange(self, path: str, answer: Answer) -> None:
        if self._streams is not None and self._streams[0].at_eof():  # as every client does before it writes
            await self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        answer.headers = headers
        json_like = "json" in headers.get("content-type", "")
        answer.body = json.loads(body) if json_like else body
        answer.status = int(head[0].split()[1])
        if isinstance(answer.body, dict) and "server" in answer.body:
            self.server = answer.body["server"]
        answer.server = self.server
        if headers.get("connection", "").lower() == "close":
            await self.close()

    async def close(self) -> None:
        streams, self._streams, self.server = self._streams, None, None
        if streams is not None:
            streams[1].close()


class Load:
    """Requests to `url`, of paths `path(n)` for n = 0, 1, 2 ..., over `kept` connections that are kept and `fresh`
    ones that are opened anew for each request, one every `pause_s` on each."""

    def __init__(
        self, url: str, path: Callable[[int], str], *, kept: int = 6, fresh: int = 0, pause_s: float = 0.02
    ) -> None:
        self.tally = Tally()
        self._url, self._path, self._pause_s = url, path, pause_s
        self._kept, self._fresh = kept, fresh
        self._numbers = itertools.count()
        self._over = threading.Event()

    def __len__(self) -> int:
        return len(self.tally.answers)

    @contextmanager
    def running(self) -> Iterator[Tally]:
        """Load while the block runs; requests under way at its end are waited for."""
        thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)
        thread.start()
        try:
            yield self.tally
        finally:
            self._over.set()
            thread.join(END_TIMEOUT_S)
        assert not thread.is_alive(), "the load did not end"

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._kept + self._fresh):
                group.create_task(self._client(number, keep=number < self._kept))

    async def _client(self, number: int, *, keep: bool) -> None:
        connection = Connection(self._url, number)
        while not self._over.is_set():
            self.tally.answers.append(await connection.get(self._path(next(self._numbers))))
            if not keep:
                await connection.close()
            await asyncio.sleep(self._pause_s)
        await connection.close()


def get_all(url: str, paths: list[str]) -> list[Answer]:
    """All at once, each on a connection of its own."""

    async def one(number: int, path: str) -> Answer:
        connection = Connection(url, number)
        try:
            return await connection.get(path)
        finally:
            await connection.close()

    async def every() -> list[Answer]:
        return await asyncio.gather(*(one(number, path) for number, path in enumerate(paths)))

    return asyncio.run(every())
