"""Reading the `config={...}` of an infrastructure service into its kind's struct."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.names import suggest

T = TypeVar("T", bound=msgspec.Struct)
MAX_PORT = 65535


def read_config(raw: Mapping[str, Any], kind: type[T], service: str, driver: str) -> T:
    """Raises DefinitionError for unknown keys, wrong types and keys that the driver would silently ignore."""
    for key in raw:
        if key not in kind.__struct_fields__:
            raise DefinitionError(
                f"Infrastructure service {service!r} has no setting {key!r}.{suggest(key, kind.__struct_fields__)}",
                remedy=f"Use one of: {', '.join(kind.__struct_fields__)}.",
            )
    try:
        config = msgspec.convert(dict(raw), kind)
    except msgspec.ValidationError as error:
        raise DefinitionError(
            f"The config of infrastructure service {service!r} has a value of a wrong type: {error}."
        ) from None
    _check_driver(raw, service, driver)
    port = raw.get("port")
    if port is not None and not 1 <= port <= MAX_PORT:
        raise DefinitionError(f"Infrastructure service {service!r} has port={port}.", remedy="Use 1 to 65535.")
    return config


def _check_driver(raw: Mapping[str, Any], service: str, driver: str) -> None:
    if driver == "external":
        if not raw.get("url"):
            raise DefinitionError(
                f"Infrastructure service {service!r} is external and has no url.",
                remedy='Say where it is: config={"url": "..."}, or use driver="native".',
            )
        if ignored := [key for key in raw if key != "url"]:
            raise DefinitionError(
                f"Infrastructure service {service!r} is external: {', '.join(ignored)} would have no effect.",
                remedy="Remove it, and configure the server where it runs.",
            )
    elif "url" in raw:
        raise DefinitionError(
            f"Infrastructure service {service!r} is native and has a url, which would have no effect.",
            remedy='Use driver="external", or remove the url.',
        )
