"""The context of a call: on whose behalf, in which trace, until when. Calls made while serving a call inherit it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from omnitron.wire.envelope import Context, Principal, decode_context, encode_context
from omnitron.wire.frames import Body


class CallContext(msgspec.Struct, eq=False, gc=False):
    """What a call knows about itself; what it passes on is decoded when first asked for.

    raw: what is passed on, as bytes. deadline: of this call, on `Clock.monotonic`, or None. caller: the replica that
    called, or "".
    """

    raw: Body = b""
    deadline: float | None = None
    caller: str = ""
    _passed: Context | None = None

    def __repr__(self) -> str:
        return f"<CallContext from {self.caller or 'unknown'} {self.passed}>"

    @property
    def passed(self) -> Context:
        if self._passed is None:
            self._passed = decode_context(self.raw) if self.raw else _EMPTY
        return self._passed

    @property
    def principal(self) -> Principal | None:
        """On whose behalf the call is made."""
        return self.passed.principal

    @property
    def trace(self) -> str | None:
        """The W3C traceparent."""
        return self.passed.trace

    @property
    def baggage(self) -> dict[str, str]:
        return self.passed.baggage


_EMPTY = Context()
_current: ContextVar[CallContext | None] = ContextVar("omnitron_call", default=None)
current_call = _current.get
set_current_call = _current.set


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
    return CallContext(raw, deadline, caller)


@contextmanager
def use_call(context: CallContext) -> Iterator[CallContext]:
    """Make calls inside the block inherit `context`."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
