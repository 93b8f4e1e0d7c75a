"""A client's connection, as the server sees it."""

import asyncio
from typing import Final, Protocol

from omnitron.base.errors import InternalError, MethodNotFound, NotExecuted, OmnitronError
from omnitron.rpc.context import CallContext
from omnitron.rpc.pipe import Pipe
from omnitron.rpc.running import Call, Host
from omnitron.rpc.served import Served
from omnitron.wire.envelope import Hello, decode_credit, decode_hello, encode_hello, parse_call
from omnitron.wire.failures import encode_error
from omnitron.wire.frames import (
    CALL,
    CANCEL,
    CREDIT,
    ERROR,
    GOAWAY,
    HEAD,
    HEAD_BYTES,
    HELLO,
    ITEM,
    LEAST_LENGTH,
    PING,
    PONG,
    Body,
    frame,
    head,
    too_large,
)

_pack_head: Final = HEAD.pack
MAX_MESSAGE_CHARS: Final = 4096
"""Of an error whose details had to be left out, since it was too large to be sent."""


class Owner(Host, Protocol):
    """What a connection asks of its server."""

    methods: list[Served]
    connections: "set[Connection]"
    closed_to_calls: bool

    def hello(self) -> Hello:
        """What is offered now."""

    def watch(self) -> None:
        """A call with a deadline has come: see that it is kept."""

    def refused(self) -> None:
        """A call was turned away."""


class Connection(Pipe):
    """Keeps the calls that came by it until they are answered."""

    def __init__(self, owner: Owner, max_frame_bytes: int) -> None:
        super().__init__(max_frame_bytes)
        self._read_at = 0.0
        self._reading = False
        self._max_body_bytes = max_frame_bytes - HEAD_BYTES
        self.owner = owner
        self.caller = ""
        self.calls: dict[int, Call] = {}
        self.used = False
        """By a call that is no system call: such a client is asked to go when the server drains."""
        self.done_calling = False

    def __repr__(self) -> str:
        return f"<Connection from {self.caller or 'unknown'} calls={len(self.calls)}>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.owner.connections.add(self)
        self.say_hello()

    def say_hello(self) -> None:
        self.send(frame(HELLO, 0, encode_hello(self.owner.hello())))

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.owner.connections.discard(self)
        for call in list(self.calls.values()):
            call.stop(None)
        self.owner.progress()

    def data_received(self, data: bytes) -> None:
        """Calls that do not wait are answered in here, all in one write."""
        runner = self.owner.runner
        self._read_at = runner.now = self.owner.clock.monotonic()
        self._reading = self._scheduled = True
        try:
            for kind, call_id, body in self._decoder.feed(data):
                if kind == CALL:
                    self._call(call_id, body)
                else:
                    self.on_frame(kind, call_id, body)
        except OmnitronError as error:
            self.on_broken(error)
        finally:
            runner.pause()
            self._reading = False
            self.flush()

    def on_frame(self, kind: int, call_id: int, body: Body) -> None:
        if kind == CANCEL:
            if (call := self.calls.get(call_id)) is not None:
                call.stop(None)
        elif kind == CREDIT:
            if (call := self.calls.get(call_id)) is not None:
                call.wake(decode_credit(body))
        elif kind == PING:
            self.send(frame(PONG, call_id))
        elif kind == HELLO:
            self.caller = decode_hello(body).who
        elif kind == GOAWAY:
            self.done_calling = True
            self.owner.progress()
        elif kind != PONG:
            raise InternalError(f"A client sent a frame of kind {kind}.")

    def _call(self, call_id: int, body: Body) -> None:
        owner = self.owner
        method_id, deadline_ms, raw, args = parse_call(body)
        deadline = self._read_at + deadline_ms / 1000 if deadline_ms else None
        try:
            if method_id >= len(owner.methods):
                raise MethodNotFound(f"There is no method of id {method_id} here.")
            method = owner.methods[method_id]
            if not method.system:
                self.used = True
                if owner.closed_to_calls:
                    raise NotExecuted("The replica is stopping.", remedy="Call another one.")
            context = CallContext(raw, deadline, self.caller)
            call = self.calls[call_id] = Call(owner, self, call_id, method, args, context)
            call.admit()
        except OmnitronError as error:
            self.calls.pop(call_id, None)
            owner.refused()
            self.answer_error(call_id, error, ran=False)
            return
        if deadline is not None and not call.answered:
            owner.watch()

    def answer(self, kind: int, call_id: int, body: bytes, title: str) -> None:
        size = len(body)
        if size > self._max_body_bytes:
            raise too_large(size, self.max_frame_bytes, f"The answer of {title}")
        out = self._out
        out.append(_pack_head(size + LEAST_LENGTH, kind, call_id))
        out.append(body)
        self._out_bytes += size + HEAD_BYTES
        if kind != ITEM:
            self.calls.pop(call_id, None)
        if not self._reading:
            if not self.calls:  # nothing else can join this write
                self.flush()
            elif not self._scheduled:
                self._schedule()

    def answer_error(self, call_id: int, error: OmnitronError, *, ran: bool = True) -> None:
        body = encode_error(error, ran=ran)
        if len(body) > self.max_frame_bytes // 2:  # its details are out of bounds
            short = OmnitronError(error.message[:MAX_MESSAGE_CHARS], remedy=error.remedy[:MAX_MESSAGE_CHARS])
            body = encode_error(short, code=error.code, ran=ran)
        self.send(head(ERROR, call_id, len(body)), body)

    def forget(self, call_id: int) -> None:
        self.calls.pop(call_id, None)
        if not self._reading and not self.calls:  # nothing else can join this write
            self.flush()

    def pause_writing(self) -> None:
        """The client does not read: take no more calls from it, make no more items for it."""
        super().pause_writing()
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.full and self.transport is not None:
            self.transport.resume_reading()
            for call in list(self.calls.values()):
                call.wake()
