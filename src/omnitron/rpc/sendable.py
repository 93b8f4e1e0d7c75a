"""Whether values of a type can cross the wire, found when the contract is read and not when the first call is made."""

from typing import Any

import msgspec
from msgspec.inspect import CustomType, type_info

from omnitron.base.errors import DefinitionError


def check_sendable(annotation: Any, what: str) -> None:
    """Raise DefinitionError, naming `what`, if the annotation holds a type that has no form on the wire."""
    remedy = "Use plain types, dataclasses, msgspec structs or pydantic models; pass ids instead of live objects."
    try:
        msgspec.msgpack.Decoder(annotation)
        strange = _strange(type_info(annotation), set())
    except TypeError as error:
        raise DefinitionError(f"{what} can not be sent: {error}.", remedy=remedy) from error
    except NameError as error:
        raise DefinitionError(
            f"{what} can not be read: {error}.", remedy="Import the type at module level, not under TYPE_CHECKING."
        ) from error
    if strange is not None:
        raise DefinitionError(f"{what} holds a {strange.__qualname__}, which can not be sent.", remedy=remedy)


def _strange(info: Any, seen: set[int]) -> type | None:
    """The first class in a tree of type infos that neither msgspec nor the codec's hooks know."""
    if isinstance(info, CustomType):
        return None if hasattr(info.cls, "model_validate") else info.cls
    if isinstance(info, tuple):
        children = info
    elif isinstance(info, msgspec.Struct) and id(info) not in seen:
        seen.add(id(info))
        children = tuple(getattr(info, name) for name in info.__struct_fields__ if name not in ("default", "enc_hook"))
    else:
        return None
    return next((found for child in children if (found := _strange(child, seen)) is not None), None)
