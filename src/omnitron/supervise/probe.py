"""How a `command=` entry shows that it is up: "tcp:PORT", "unix:PATH", "http:PORT/PATH" or "exec:COMMAND"."""

import asyncio
import shlex
import signal
from typing import Final, NamedTuple

from omnitron.base.errors import DefinitionError, OperationError
from omnitron.model.state import ExitStatus
from omnitron.supervise.spawn import Launch, Spawner

FIRST_WAIT_S: Final = 0.005
LONGEST_WAIT_S: Final = 0.25


class Answer(NamedTuple):
    """why: of a bad answer, in words."""

    ok: bool
    why: str = ""


class Probe:
    """Raises DefinitionError for a text that is no probe. env, cwd: for "exec:"."""

    def __init__(self, text: str, spawner: Spawner, env: dict[str, str], cwd: str) -> None:
        self.text = text
        self._kind, _, self._where = text.partition(":")
        self._spawner, self._env, self._cwd = spawner, env, cwd
        port = self._where.partition("/")[0]
        if self._kind not in ("tcp", "unix", "http", "exec") or not self._where:
            raise _unreadable(text)
        if self._kind in ("tcp", "http") and not port.isdecimal():
            raise _unreadable(text)

    async def ask(self, timeout: float) -> Answer:
        """Never raises; takes at most `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self._ask()
        except TimeoutError:
            return Answer(False, f"{self.text} did not answer within {timeout:g}s")
        except OSError as error:
            return Answer(False, f"{self.text}: {error.strerror or error}")

    async def _ask(self) -> Answer:
        if self._kind == "exec":
            return await self._exec()
        if self._kind == "unix":
            reader, writer = await asyncio.open_unix_connection(self._where)
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(self._where.partition("/")[0]))
        try:
            return await self._http(reader, writer) if self._kind == "http" else Answer(True)
        finally:
            writer.close()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        path = "/" + self._where.partition("/")[2]
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        line = (await reader.readline()).decode("latin-1").strip()
        words = line.split()
        ok = len(words) > 1 and words[1].isdecimal() and 200 <= int(words[1]) < 400
        return Answer(ok, "" if ok else f"{self.text} answered {line!r}")

    async def _exec(self) -> Answer:
        ended: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        try:
            pid = self._spawner.start(Launch(tuple(shlex.split(self._where)), self._env, self._cwd))
        except OperationError as error:
            return Answer(False, str(error))
        self._spawner.watch(pid, lambda status: None if ended.done() else ended.set_result(status))
        try:
            status = await ended
        finally:
            self._spawner.signal(pid, signal.SIGKILL)  # whatever it left behind, or itself when it took too long
        return Answer(status.success, "" if status.success else f"{self.text}: {status}")


def _unreadable(text: str) -> DefinitionError:
    return DefinitionError(
        f"The probe {text!r} can not be read.",
        remedy='Write "tcp:PORT", "unix:PATH", "http:PORT/PATH" or "exec:COMMAND".',
    )
