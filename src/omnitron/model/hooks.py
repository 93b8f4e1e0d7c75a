"""User functions at points of a replica's life."""

import msgspec

from omnitron.model.references import code_ref


class Hooks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each is "module:function", sync or async; arguments are injected by type.

    after_create: services are built, nothing is served yet. before_stop: drained, about to end.
    """

    after_create: str | None = None
    before_stop: str | None = None

    def __post_init__(self) -> None:
        for name in ("after_create", "before_stop"):
            value = getattr(self, name)
            if value is not None:
                msgspec.structs.force_setattr(self, name, code_ref(value, f"hook {name}"))
