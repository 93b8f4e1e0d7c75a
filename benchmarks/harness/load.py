"""A constant rate of HTTP requests from a thread of its own, nothing retried, so that every loss is seen."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgspec

CLIENTS = 10
ANSWER_TIMEOUT_S = 20.0


class Answer(msgspec.Struct, frozen=True):
    """asked, took: seconds; took counts from when the request was due. version: what the answer says; "" if lost."""

    asked: float
    took: float
    version: str = ""
    error: str = ""


class Load:
    """`per_s` requests a second of `url`, whose answers are JSON with a "version". keep: connections are kept alive."""

    def __init__(self, url: str, *, per_s: float = 300.0, keep: bool = True) -> None:
        self.answers: list[Answer] = []
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path
        self._every_s, self._keep = CLIENTS / per_s, keep
        self._over = threading.Event()

    @property
    def lost(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.error]

    def longest_ms(self) -> float:
        """The longest time anybody waited for an answer."""
        return max(answer.took for answer in self.answers) * 1000

    def stale(self, since: float, version: str) -> int:
        """Answers by another version to what was asked after `since`."""
        return sum(1 for a in self.answers if a.asked > since and not a.error and a.version != version)

    @contextmanager
    def running(self) -> Iterator["Load"]:
        thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    async def _run(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(CLIENTS)))

    async def _client(self, number: int) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        due = time.monotonic() + number * self._every_s / CLIENTS
        while not self._over.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            asked, version, error = time.monotonic(), "", ""
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    if streams is None or streams[0].at_eof():  # as every client does before it writes
                        streams = await asyncio.open_connection(self._host, self._port)
                    version, close = await self._ask(*streams)
            except (OSError, EOFError, TimeoutError, ValueError) as problem:
                error, close = repr(problem), True
            self.answers.append(Answer(asked, time.monotonic() - due, version, error))
            if close and streams is not None:
                streams[1].close()
                streams = None
            due = max(due + self._every_s, time.monotonic() - self._every_s)
        if streams is not None:
            streams[1].close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, bool]:
        """(version, whether the connection is to be closed). Raises ValueError if the answer is no success."""
        keep = "keep-alive" if self._keep else "close"
        writer.write(f"GET {self._path} HTTP/1.1\r\nhost: {self._host}\r\nconnection: {keep}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
        body = await reader.readexactly(length)
        if " 200 " not in head.partition("\r\n")[0]:
            raise ValueError(head.partition("\r\n")[0])
        return json.loads(body)["version"], not self._keep or "connection: close" in head
