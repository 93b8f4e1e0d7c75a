"""Throwaway processes: a JSON request on standard input, JSON lines of progress and one result on standard output.

The daemon stays free of what they import, and of their crashes. `serve_step` is the process's side, `run_step` the
caller's. An `OmnitronError` raised in the process is raised as itself in the caller.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from omnitron.base.errors import InternalError, OmnitronError, OperationError, error_classes

Q = TypeVar("Q")
R = TypeVar("R")
Say = Callable[[str], None]

MAX_LINE: Final = 2**20  # bytes of one line
STDERR_TAIL: Final = 4000  # characters of standard error kept for the message


class Fault(msgspec.Struct, frozen=True):
    """An OmnitronError on its way."""

    code: str
    message: str
    remedy: str = ""
    details: dict[str, Any] = {}


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of: step, what is being done now, in words; result; error."""

    step: str = ""
    result: msgspec.Raw = msgspec.Raw()
    error: Fault | None = None


def serve_step(request_type: type[Q], work: Callable[[Q, Say], Awaitable[Any] | Any]) -> None:
    """Read the request, do the work, print what came of it. Prints of user code go to standard error."""
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def send(line: Line) -> None:
        channel.write(msgspec.json.encode(line) + b"\n")

    try:
        result = work(msgspec.json.decode(sys.stdin.buffer.read(), type=request_type), lambda s: send(Line(step=s)))
        if asyncio.iscoroutine(result):
            result = asyncio.run(result)
    except OmnitronError as error:
        details = msgspec.to_builtins(error.details, enc_hook=str)
        send(Line(error=Fault(error.code, error.message, error.remedy, details)))
        sys.exit(1)
    send(Line(result=msgspec.Raw(msgspec.json.encode(result))))


async def run_step(
    module: str,
    request: Any,
    result_type: type[R],
    *,
    timeout: float,
    python: str = sys.executable,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    say: Say = lambda _: None,
) -> R:
    """Run `python -m module` with the request. timeout: seconds, then it is killed and OperationError raised.

    env: added to our own environment. say: called with each step of progress.
    """
    with tempfile.TemporaryFile() as stderr:
        process = await asyncio.create_subprocess_exec(
            python, "-m", module, cwd=cwd, env={**os.environ, **(env or {})}, limit=MAX_LINE,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=stderr, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(timeout):
                last = await _talk(process, msgspec.json.encode(request), say)
                await process.wait()
        except TimeoutError:
            raise OperationError(
                f"{module} did not end within {timeout:g} s.", remedy="Look for a lock or a slow disk, and try again."
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if last is None:
            stderr.seek(0)
            tail = stderr.read().decode(errors="replace")[-STDERR_TAIL:].strip()
            raise InternalError(f"{module} ended with exit code {process.returncode} and no result: {tail}")
    if last.error is not None:
        raise _rebuild(last.error)
    return msgspec.json.decode(last.result, type=result_type)


async def _talk(process: asyncio.subprocess.Process, request: bytes, say: Say) -> Line | None:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(request)
        await process.stdin.drain()
        process.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        return None  # it died before it read; its standard error says why
    last = None
    async for raw in process.stdout:
        line = msgspec.json.decode(raw, type=Line)
        if line.step:
            say(line.step)
        else:
            last = line
    return last


def _rebuild(fault: Fault) -> OmnitronError:
    cls = error_classes().get(fault.code, OmnitronError)
    return cls(fault.message, remedy=fault.remedy, details=fault.details)
