"""One connection's bytes: frames in, batched writes out. `Connection` (server) and `Link` (client) are made of it.

What is sent during one turn of the event loop is written at its end, in one system call: one write per frame doubles
the CPU of a small call. When the socket is full the rest waits here and not in the transport, whose buffer costs a
move of all its bytes per write; whoever sends must look at `full`.
"""

import asyncio
import logging
from typing import Final, cast

from omnitron.base.errors import OmnitronError
from omnitron.wire.frames import MAX_FRAME_BYTES, Body, FrameDecoder

log = logging.getLogger("omnitron.rpc")
WRITE_BYTES: Final = 256 * 2**10
"""At most this much is handed to the transport at a time."""
FULL_BYTES: Final = 4 * WRITE_BYTES
"""A transport that holds this much is full, until it is down to one write. asyncio's own limit is a quarter of a
write: then each is waited for, which doubles the CPU of calls of 64 KiB."""


class Pipe(asyncio.Protocol):
    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.loop = asyncio.get_running_loop()
        self.max_frame_bytes = max_frame_bytes
        self.transport: asyncio.Transport | None = None
        self.full = False
        self._decoder = FrameDecoder(max_frame_bytes)
        self._out: list[Body] = []
        self._out_bytes = 0
        self._scheduled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # other loops' transports do not inherit from it
        self.transport.set_write_buffer_limits(high=FULL_BYTES, low=WRITE_BYTES)

    def data_received(self, data: bytes) -> None:
        try:
            on_frame = self.on_frame
            for kind, call_id, body in self._decoder.feed(data):
                on_frame(kind, call_id, body)
        except OmnitronError as error:
            self.on_broken(error)

    def on_frame(self, kind: int, call_id: int, body: Body) -> None:
        raise NotImplementedError

    def on_broken(self, error: OmnitronError) -> None:
        """The other side does not keep to the protocol: nothing that follows can be understood."""
        log.error("%r: connection closed: %s", self, error)
        self.abort()

    def send(self, head: bytes, body: Body = b"") -> None:
        """Queue a frame for the end of this turn of the loop."""
        out = self._out
        out.append(head)
        out.append(body)
        self._out_bytes += len(head) + len(body)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is queued, as far as the socket takes it."""
        self._scheduled = False
        out, transport = self._out, self.transport
        if transport is None or transport.is_closing():
            out.clear()
            self._out_bytes = 0
            return
        if self._out_bytes <= WRITE_BYTES and not self.full:
            if out:
                transport.write(b"".join(out))
                out.clear()
                self._out_bytes = 0
            return
        while out and not self.full:
            count = taken = 0
            while count < len(out) and taken < WRITE_BYTES:
                taken += len(out[count])
                count += 1
            transport.write(out[0] if count == 1 else b"".join(out[:count]))
            del out[:count]
            self._out_bytes -= taken

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self.flush()

    def finish(self) -> None:
        """Close after writing what is queued."""
        if self.transport is not None and not self.transport.is_closing():
            self.flush()
            for part in self._out:  # the socket is full: let the transport drain it
                self.transport.write(part)
            self._out.clear()
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()
