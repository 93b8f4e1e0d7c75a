"""`Remote[T]`: inject a proxy of the service `T` that runs in another process. Type checkers see a `T`."""

from typing import Annotated, TypeVar, get_args, get_origin

import msgspec

T = TypeVar("T")


class RemoteMark(msgspec.Struct, frozen=True):
    """In the metadata of an annotation: what is injected is a proxy."""


Remote = Annotated[T, RemoteMark()]


def remote_target(annotation: object) -> type | None:
    """`T` if the annotation is `Remote[T]`, else None."""
    if get_origin(annotation) is not Annotated:
        return None
    target, *metadata = get_args(annotation)
    return target if isinstance(target, type) and any(isinstance(m, RemoteMark) for m in metadata) else None
