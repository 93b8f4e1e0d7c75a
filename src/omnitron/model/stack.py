"""Stacks: several copies of an ecosystem side by side on one host, sharing nothing."""

from typing import Literal

import msgspec


class StackSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Offsets are honoured as declared; what is not declared is allocated and kept. Overlap is refused.

    redis_db_offset: first Redis index. port_offsets: per infrastructure service or "app/process".
    container_prefix: of everything named after the stack, such as databases.
    """

    redis_db_offset: int | None = None
    port_offsets: dict[str, int] = {}
    container_prefix: str | None = None


class Stack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """type: "local" is this machine."""

    type: Literal["local"] = "local"
    settings: StackSettings = StackSettings()
    env: dict[str, str] = {}
