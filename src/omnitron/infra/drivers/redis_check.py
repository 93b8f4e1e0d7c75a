"""Is the Redis there, does it know the password, has it the databases? In the protocol itself, since the client
libraries take half a second to import.
"""

import asyncio
import re
from typing import Final
from urllib.parse import unquote, urlsplit

from omnitron.infra.drivers.ready import NotYet, refused, until_ready
from omnitron.infra.kinds.redis import DEFAULT_PORT
from omnitron.infra.plan import ServicePlan

REPLY_TIMEOUT: Final = 10.0  # seconds for one answer
MAX_REPLY: Final = 2**20  # bytes
_VERSION: Final = re.compile(rb"^(valkey|redis)_version:(\S+)", re.MULTILINE)


async def check_redis(plan: ServicePlan, url: str) -> str:
    """The version, such as "Valkey 9.1.2". Raises OperationError."""
    parts = urlsplit(url)
    commands = [[b"PING"], [b"INFO", b"server"]]
    index = parts.path.strip("/")
    if index:
        commands.insert(0, [b"SELECT", index.encode()])
    if parts.password is not None:
        user = [unquote(parts.username).encode()] if parts.username else []
        commands.insert(0, [b"AUTH", *user, unquote(parts.password).encode()])
    info = await until_ready(plan, lambda: _ask(plan, url, commands))
    names = {match[1]: match[2].decode() for match in _VERSION.finditer(info)}
    return f"Valkey {names[b'valkey']}" if b"valkey" in names else f"Redis {names.get(b'redis', '')}".rstrip()


async def _ask(plan: ServicePlan, url: str, commands: list[list[bytes]]) -> bytes:
    """The last command's answer."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(REPLY_TIMEOUT):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or DEFAULT_PORT, ssl=parts.scheme == "rediss" or None, limit=MAX_REPLY
            )
            try:
                reply = b""
                for command in commands:
                    writer.write(_encode(command))
                    reply = await _reply(plan, reader)
                return reply
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError) as error:  # TimeoutError and gaierror are OSErrors too
        raise NotYet(str(error) or type(error).__name__) from None


def _encode(command: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in command)


async def _reply(plan: ServicePlan, reader: asyncio.StreamReader) -> bytes:
    line = (await reader.readuntil(b"\r\n"))[:-2]
    if line.startswith(b"-LOADING"):
        raise NotYet(line[1:].decode())
    if line.startswith(b"-"):
        raise refused(plan, line[1:].decode(errors="replace"))
    if line.startswith(b"$") and line != b"$-1":
        return (await reader.readexactly(int(line[1:]) + 2))[:-2]
    return line[1:]
