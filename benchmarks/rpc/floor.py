"""The least that still is an RPC: ids matched to futures, no names, no types, no deadlines, no errors.

What our own path is measured against, in the same run.
"""

import asyncio
import struct

import msgspec

_HEAD = struct.Struct("<II")
_LARGE = 16384
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode


class _Frames(asyncio.Protocol):
    """Splits what is read into frames; what is sent in one turn of the loop is written at once."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.rest = b""
        self.chunks, self.have, self.need = [], 0, 0
        self.out = []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if self.chunks:
            self.chunks.append(data)
            self.have += len(data)
            if self.have < self.need:
                return
            data, self.chunks = b"".join(self.chunks), []
        elif self.rest:
            data = self.rest + data
        self.rest = b""
        position, available = 0, len(data)
        while available - position >= 8:
            length, call_id = _HEAD.unpack_from(data, position)
            end = position + 4 + length
            if end > available:
                if length > _LARGE:
                    self.chunks, self.have, self.need = [data[position:]], available - position, 4 + length
                    return
                break
            body = memoryview(data)[position + 8 : end] if length > _LARGE else data[position + 8 : end]
            self.on_frame(call_id, body)
            position = end
        self.rest = data[position:]

    def send(self, call_id, body):
        if len(body) > _LARGE:
            self.flush()
            self.transport.writelines((_HEAD.pack(len(body) + 4, call_id), body))
            return
        if not self.out:
            self.loop.call_soon(self.flush)
        self.out += (_HEAD.pack(len(body) + 4, call_id), body)

    def flush(self):
        if self.out:
            self.transport.write(b"".join(self.out))
            self.out.clear()


class FloorServer(_Frames):
    def on_frame(self, call_id, body):
        self.send(call_id, encode(decode(body)))


class FloorClient(_Frames):
    def __init__(self):
        super().__init__()
        self.pending, self.last_id = {}, 0

    def call(self, value):
        self.last_id += 1
        answer = self.pending[self.last_id] = self.loop.create_future()
        self.send(self.last_id, encode(value))
        return answer

    def on_frame(self, call_id, body):
        self.pending.pop(call_id).set_result(decode(body))

    async def close(self):
        self.transport.close()


async def serve(sock):
    await asyncio.get_running_loop().create_unix_server(FloorServer, sock=sock)


async def connect(path):
    _, client = await asyncio.get_running_loop().create_unix_connection(FloorClient, path)
    return client
