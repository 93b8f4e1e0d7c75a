"""How a definition's struct makes its fields canonical, once, when it is built.

A `msgspec.Struct` does not check what it is constructed with, so each struct normalises durations and sizes in
`__post_init__` (text like "15s" becomes seconds, "10GiB" bytes) and `define_system` round-trips the whole once.
"""

from typing import Any

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.units import seconds, size

Seconds = float | str
Bytes = int | str


def normalise_seconds(struct: msgspec.Struct, *names: str) -> None:
    """Replace the named fields by float seconds; None stays None."""
    for name in names:
        value: Any = getattr(struct, name)
        if value is not None:
            msgspec.structs.force_setattr(struct, name, seconds(value, what=f"{type(struct).__name__}.{name}"))


def normalise_bytes(struct: msgspec.Struct, *names: str) -> None:
    """Replace the named fields by a number of bytes; None stays None."""
    for name in names:
        value: Any = getattr(struct, name)
        if value is not None:
            msgspec.structs.force_setattr(struct, name, size(value, what=f"{type(struct).__name__}.{name}"))


def normalise_tuple(struct: msgspec.Struct, *names: str) -> None:
    """Lists become tuples, so that a definition can be hashed and compared."""
    for name in names:
        value: Any = getattr(struct, name)
        if isinstance(value, str):
            raise DefinitionError(f"{type(struct).__name__}.{name} is the text {value!r}.", remedy="Write a list.")
        msgspec.structs.force_setattr(struct, name, tuple(value))


def need_positive(struct: msgspec.Struct, *names: str) -> None:
    """Refuse zero and less in the named fields (after they were normalised); None is no value, and fits."""
    for name in names:
        value: Any = getattr(struct, name)
        if value is not None and not value > 0:
            raise DefinitionError(f"{type(struct).__name__}.{name} is {value!r}.", remedy="It must be above 0.")
