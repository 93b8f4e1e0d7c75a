"""Values as MessagePack, decoded into the annotated type or refused.

msgspec knows structs, dataclasses, Decimal, datetime, UUID, sets, bytes and memoryview. pydantic models are recognised
by their methods, so that pydantic is imported only by who uses it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from omnitron.base.errors import DefinitionError, InvalidArguments, InvalidResult
from omnitron.wire.frames import Body

_FIX_ARRAY, _ARRAY_16 = 0x90, 0xDC
MAX_PARAMETERS: Final = 255


def encode_hook(value: Any) -> Any:
    """What msgspec does not know, as something it does: pydantic models as their fields."""
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise NotImplementedError(f"an object of type {type(value).__qualname__} can not be sent")
    return dump(round_trip=True)


def decode_hook(cls: type, value: Any) -> Any:
    """Build a pydantic model. Values were strict in the sender; the wire has fewer types than Python: so not here."""
    validate = getattr(cls, "model_validate", None)
    if validate is None:
        raise NotImplementedError(f"an object of type {cls.__qualname__} can not be received")
    return validate(value, strict=False, by_alias=True, by_name=True)


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=encode_hook)
encode = _ENCODER.encode
NOT_SENDABLE: Final = (TypeError, ValueError, NotImplementedError, msgspec.MsgspecError)
"""What `encode` raises for a value that has no form on the wire."""


def decoder(annotation: Any) -> Callable[[Body], Any]:
    """A function from bytes to a value of that type; it raises msgspec.ValidationError, or what a model raises."""
    return msgspec.msgpack.Decoder(annotation, dec_hook=decode_hook).decode


def result_decoder(annotation: Any, what: str) -> Callable[[Body], Any]:
    """Like `decoder`, for what a method returned: raises InvalidResult."""
    decode = decoder(annotation)

    def decode_result(body: Body) -> Any:
        try:
            return decode(body)
        except (ValueError, msgspec.MsgspecError) as error:
            raise InvalidResult(
                f"{what} answered something its signature does not allow: {error}.",
                remedy="Caller and service may be of different versions; else correct the annotation.",
            ) from error

    return decode_result


class ArgumentsDecoder:
    """Arguments travel as an array in the order of the signature, without trailing defaults.

    One decoder per number of arguments, made when first needed: the Python call then honours the defaults itself.
    """

    __slots__ = ("_by_head", "_names", "_required", "_types", "_what")

    def __init__(self, what: str, names: Sequence[str], types: Sequence[Any], required: int) -> None:
        if len(names) > MAX_PARAMETERS:
            raise DefinitionError(f"{what} has more than {MAX_PARAMETERS} parameters.", remedy="Pass a struct.")
        self._what, self._names, self._types, self._required = what, tuple(names), tuple(types), required
        self._by_head: dict[int, Callable[[Body], tuple[Any, ...]]] = {}
        """By the first byte, which says how many; arrays of 16 and more are rare and have it elsewhere."""

    def __call__(self, body: Body) -> tuple[Any, ...]:
        return self.decode(body)

    def decode(self, body: Body) -> tuple[Any, ...]:
        """The arguments. Raises InvalidArguments naming the one that does not fit."""
        try:
            return (self._by_head.get(body[0]) or self._decoder(body))(body)
        except (ValueError, msgspec.MsgspecError) as error:
            raise InvalidArguments(
                f"{self._what} was called with an argument that does not fit: {self._named(str(error))}.",
                details={"method": self._what},
            ) from error

    def _decoder(self, body: Body) -> Callable[[Body], tuple[Any, ...]]:
        count = self._count(body)
        if not self._required <= count <= len(self._types):
            expected = " to ".join(str(n) for n in sorted({self._required, len(self._types)}))
            raise InvalidArguments(
                f"{self._what} takes {expected} arguments ({', '.join(self._names)}), got {count}.",
                details={"method": self._what, "got": count},
            )
        decode = decoder(tuple.__class_getitem__(self._types[:count]))
        if count < 16:
            self._by_head[_FIX_ARRAY | count] = decode
        return decode

    @staticmethod
    def _count(body: Body) -> int:
        if body[0] & 0xF0 == _FIX_ARRAY:
            return body[0] & 0x0F
        if body[0] == _ARRAY_16:
            return int.from_bytes(body[1:3], "big")
        raise ValueError("the arguments are not an array")

    def _named(self, text: str) -> str:
        for index, name in enumerate(self._names):
            text = text.replace(f"`$[{index}]", f"`{name}")
        return text
