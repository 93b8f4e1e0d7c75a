"""Frames: `u32 length of the rest | u8 kind | u32 call id | body`, little-endian.

`FrameDecoder` is fed what a socket gave, in any pieces, and answers whole frames. A large body is a view of what was
received (one copy if it came in pieces), a small one is cut out, so that it does not keep a whole read alive.
"""

from enum import IntEnum
from struct import Struct
from typing import Final

from omnitron.base.errors import FrameTooLarge, InternalError

PROTOCOL: Final = 1
MAX_FRAME_BYTES: Final = 16 * 2**20
LARGE_BODY_BYTES: Final = 16 * 2**10
STREAM_WINDOW_ITEMS: Final = 64

HEAD: Final = Struct("<IBI")
HEAD_BYTES: Final = HEAD.size
_UNCOUNTED_BYTES: Final = 4
LEAST_LENGTH: Final = HEAD_BYTES - _UNCOUNTED_BYTES

Body = bytes | memoryview
Frame = tuple[int, int, Body]


class Kind(IntEnum):
    """What a frame is; the call id is 0 where none applies."""

    HELLO = 1
    """Both ways, first: who I am, and from a server what it offers (again when that grows)."""
    CALL = 2
    REPLY = 3
    ERROR = 4
    CANCEL = 5
    """From the caller: it no longer waits."""
    ITEM = 6
    """One item of a stream."""
    CREDIT = 7
    """From the caller: it has room for so many more items (u32)."""
    END = 8
    """The stream is over."""
    GOAWAY = 9
    """From the server: start no new call here. From the client: I shall not; no call of mine follows."""
    PING = 10
    PONG = 11


HELLO, CALL, REPLY, ERROR, CANCEL, ITEM, CREDIT, END, GOAWAY, PING, PONG = (int(kind) for kind in Kind)


def head(kind: int, call_id: int, body_bytes: int) -> bytes:
    """The nine bytes in front of a body."""
    return HEAD.pack(body_bytes + LEAST_LENGTH, kind, call_id)


def frame(kind: int, call_id: int = 0, body: bytes = b"") -> bytes:
    """A whole frame in one piece."""
    return HEAD.pack(len(body) + LEAST_LENGTH, kind, call_id) + body


def check_size(body_bytes: int, max_frame_bytes: int, what: str) -> None:
    """Raise FrameTooLarge if a body is over the limit, before any byte of it is sent."""
    if body_bytes + LEAST_LENGTH > max_frame_bytes:
        raise too_large(body_bytes, max_frame_bytes, what)


def too_large(body_bytes: int, max_frame_bytes: int, what: str) -> FrameTooLarge:
    return FrameTooLarge(
        f"{what} takes {body_bytes} bytes, the limit of a message is {max_frame_bytes}.",
        remedy="Send it in parts, as a stream.",
        details={"bytes": body_bytes, "limit_bytes": max_frame_bytes},
    )


class FrameDecoder:
    """Bytes in, frames out. After an error the connection is of no use any more."""

    __slots__ = ("_chunks", "_have", "_max", "_need", "_rest")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max = max_frame_bytes
        self._rest = b""
        self._chunks: list[bytes] = []
        self._have = self._need = 0

    @property
    def buffered_bytes(self) -> int:
        """Bytes of a frame that is not whole yet; at most a frame and one read."""
        return len(self._rest) + self._have

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, in order. Raises FrameTooLarge, or InternalError for what is no frame."""
        if self._chunks:
            self._chunks.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._chunks)
            self._chunks, self._have = [], 0
        elif self._rest:
            data = self._rest + data
            self._rest = b""
        return self._split(data)

    def _split(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        position, available, unpack = 0, len(data), HEAD.unpack_from
        while available - position >= HEAD_BYTES:
            length, kind, call_id = unpack(data, position)
            end = position + _UNCOUNTED_BYTES + length
            if end > available or length < LEAST_LENGTH:
                self._check(length)
                if end - position > LARGE_BODY_BYTES:  # many pieces will follow: join them once, when all are here
                    self._chunks, self._have, self._need = [data[position:]], available - position, end - position
                    return frames
                break
            start = position + HEAD_BYTES
            if length > LARGE_BODY_BYTES:
                self._check(length)
                frames.append((kind, call_id, memoryview(data)[start:end]))
            else:
                frames.append((kind, call_id, data[start:end]))
            position = end
        self._rest = data[position:]
        return frames

    def _check(self, length: int) -> None:
        if length > self._max:
            raise too_large(length, self._max, "A received message")
        if length < LEAST_LENGTH:
            raise InternalError(
                f"A frame of length {length} was received: the other side does not speak this protocol."
            )
