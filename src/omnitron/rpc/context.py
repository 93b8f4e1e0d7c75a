"""The context of a call: on whose behalf, in which trace, until when. Calls made while serving a call inherit it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from omnitron.wire.envelope import Context, Principal, decode_context, encode_context
from omnitron.wire.frames import Body


class CallContext(msgspec.Struct, frozen=True):
    """principal, trace (W3C traceparent), baggage: what is passed on.

    deadline: of this call, on `Clock.monotonic`, or None. caller: the replica that called, or "".
    raw: what is passed on, as bytes; made by `call_context`.
    """

    principal: Principal | None = None
    trace: str | None = None
    baggage: dict[str, str] = {}
    deadline: float | None = None
    caller: str = ""
    raw: bytes = b""


_current: ContextVar[CallContext | None] = ContextVar("omnitron_call", default=None)
current_call = _current.get
set_current_call = _current.set
_EMPTY = Context()


def call_context(
    *,
    principal: Principal | None = None,
    trace: str | None = None,
    baggage: dict[str, str] | None = None,
    deadline: float | None = None,
    caller: str = "",
) -> CallContext:
    """A context for calls that begin here, as at the edge; see `use_call`."""
    context = Context(principal, trace, baggage or {})
    raw = encode_context(context) if context != _EMPTY else b""
    return CallContext(principal, trace, context.baggage, deadline, caller, raw)


def received_context(raw: Body, deadline: float | None, caller: str) -> CallContext:
    """The context of a call that arrived."""
    if not raw:
        return CallContext(deadline=deadline, caller=caller)
    context = decode_context(raw)
    return CallContext(context.principal, context.trace, context.baggage, deadline, caller, bytes(raw))


@contextmanager
def use_call(context: CallContext) -> Iterator[CallContext]:
    """Make calls inside the block inherit `context`."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
