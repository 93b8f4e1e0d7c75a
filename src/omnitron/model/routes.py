"""HTTP routes of a process beside its RPC."""

from typing import Literal

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.model.references import code_ref

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class CustomRoute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`handler` is "module:function": it takes a Starlette request and returns a response.

    pattern: a path with "{name}" parts; a trailing "*" matches the rest. A route that says neither who may enter
    (`auth`) nor why everybody may (`public="reason"`) is refused by the check.
    """

    method: Method
    pattern: str
    handler: str
    public: str | None = None
    auth: str | None = None

    def __post_init__(self) -> None:
        if not self.pattern.startswith("/"):
            raise DefinitionError(f"The route pattern {self.pattern!r} is not a path.", remedy='Start it with "/".')
        msgspec.structs.force_setattr(self, "handler", code_ref(self.handler, f"handler of {self.pattern}"))
