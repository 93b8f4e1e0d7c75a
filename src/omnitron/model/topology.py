"""Who may call whom."""

import msgspec

from omnitron.model.fields import normalise_tuple


class Topology(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """expose: siblings, and other apps, may call the services of this process.

    access: the services this process calls, by class name or service name. None: read from the injected `Remote[T]`.
    A given list is checked against them; what nobody exposes is an error, there is no silent fallback.
    """

    expose: bool = False
    access: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.access is not None:
            normalise_tuple(self, "access")
