"""Errors as bytes: `[code, message, remedy, details, ran]`, rebuilt as the class of that code.

`ran` is whether the method's code may have been reached. The class alone does not say so: a method may fail with the
`Unavailable` of a call it made itself, halfway through its work.
"""

from typing import Any

import msgspec

from omnitron.base.errors import InternalError, OmnitronError, RemoteError, error_classes
from omnitron.wire.frames import Body


class _Failure(msgspec.Struct, frozen=True, array_like=True):
    code: str
    message: str
    remedy: str = ""
    details: dict[str, Any] = {}
    ran: bool = True


_encode = msgspec.msgpack.Encoder(enc_hook=repr).encode
_decode = msgspec.msgpack.Decoder(_Failure).decode


def encode_error(error: OmnitronError, *, code: str | None = None, ran: bool = True) -> bytes:
    """Details that have no form on the wire travel as their `repr`."""
    details = {str(key): value for key, value in error.details.items()}
    return _encode(_Failure(code or error.code, error.message, error.remedy, details, ran))


def decode_error(body: Body) -> tuple[OmnitronError, bool]:
    """The error as itself, or as RemoteError if no class here has its code; and whether the method may have run."""
    try:
        failure = _decode(body)
    except msgspec.MsgspecError as error:
        return InternalError(f"An error was received that can not be read: {error}."), True
    cls = error_classes().get(failure.code)
    if cls is None:
        details = {"type": failure.code, "message": failure.message, **failure.details}
        return RemoteError(failure.message, remedy=failure.remedy, details=details), failure.ran
    rebuilt = cls.__new__(cls)  # not through __init__: a subclass may take other arguments
    OmnitronError.__init__(rebuilt, failure.message, remedy=failure.remedy, details=failure.details)
    return rebuilt, failure.ran
