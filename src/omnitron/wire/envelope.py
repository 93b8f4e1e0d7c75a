"""What surrounds the values: HELLO, the head of a CALL, the context of a call, the credit of a stream."""

from struct import Struct
from typing import Any, Final

import msgspec

from omnitron.base.errors import InternalError
from omnitron.wire.frames import HEAD_BYTES, PROTOCOL, Body

_CALL: Final = Struct("<IBIHIH")
_CALL_TAIL: Final = Struct("<HIH")
_CALL_TAIL_BYTES: Final = _CALL_TAIL.size
_pack_call, _unpack_call_tail = _CALL.pack, _CALL_TAIL.unpack_from
_CALL_EXTRA: Final = HEAD_BYTES - 4 + _CALL_TAIL_BYTES
_CREDIT: Final = Struct("<I")
_CALL_KIND: Final = 2
MAX_DEADLINE_MS: Final = 2**32 - 1
MAX_CONTEXT_BYTES: Final = 2**16 - 1
MAX_METHODS: Final = 2**16


class Offer(msgspec.Struct, frozen=True, array_like=True):
    """A service a server offers. A method's id in a CALL is `first_id` plus its place in `methods`."""

    service: str
    version: str
    first_id: int
    methods: tuple[str, ...]


class Hello(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first frame of each side. `who`: identity, as in "market/http/0"."""

    protocol: int = PROTOCOL
    who: str = ""
    offers: tuple[Offer, ...] = ()


class Principal(msgspec.Struct, frozen=True, omit_defaults=True):
    """On whose behalf a call is made, as an edge has verified it."""

    subject: str
    roles: frozenset[str] = frozenset()
    tenant: str | None = None
    claims: dict[str, Any] = {}


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a call passes on to the calls it makes. `trace`: a W3C traceparent."""

    principal: Principal | None = None
    trace: str | None = None
    baggage: dict[str, str] = {}


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_hello: Final = msgspec.msgpack.Decoder(Hello).decode
decode_context: Final = msgspec.msgpack.Decoder(Context).decode


def encode_hello(hello: Hello) -> bytes:
    return _encode(hello)


def decode_hello(body: Body) -> Hello:
    """Raises InternalError if the other side speaks another protocol."""
    try:
        hello = _decode_hello(body)
    except msgspec.MsgspecError as error:
        raise InternalError(f"The other side said something else than HELLO: {error}.") from error
    if hello.protocol != PROTOCOL:
        raise InternalError(
            f"The other side speaks protocol {hello.protocol}, this one {PROTOCOL}.",
            remedy="Run the same version of Omnitron on both sides.",
        )
    return hello


def encode_context(context: Context) -> bytes:
    """Raises InternalError if it is over MAX_CONTEXT_BYTES."""
    data = _encode(context)
    if len(data) > MAX_CONTEXT_BYTES:
        raise InternalError(
            f"The context of a call takes {len(data)} bytes, the limit is {MAX_CONTEXT_BYTES}.",
            remedy="Put less into baggage and claims.",
        )
    return data


def call_head(call_id: int, method_id: int, deadline_ms: int, context: Body, args_bytes: int) -> bytes:
    """All of a CALL in front of its arguments. deadline_ms: from now, 0 is none."""
    length = _CALL_EXTRA + len(context) + args_bytes
    packed = _pack_call(length, _CALL_KIND, call_id, method_id, deadline_ms, len(context))
    return packed + context if context else packed


def parse_call(body: Body) -> tuple[int, int, Body, Body]:
    """Method id, deadline in ms (0 is none), context (may be empty), arguments."""
    if len(body) > _CALL_TAIL_BYTES:
        method_id, deadline_ms, context_bytes = _unpack_call_tail(body)
        start = _CALL_TAIL_BYTES + context_bytes
        if args := body[start:]:
            return method_id, deadline_ms, body[_CALL_TAIL_BYTES:start] if context_bytes else b"", args
    raise InternalError("A CALL without arguments was received: the other side does not speak this protocol.")


def encode_credit(items: int) -> bytes:
    return _CREDIT.pack(items)


def decode_credit(body: Body) -> int:
    if len(body) != _CREDIT.size:
        raise InternalError("A CREDIT of a wrong size was received: the other side does not speak this protocol.")
    items: int = _CREDIT.unpack(body)[0]
    return items
