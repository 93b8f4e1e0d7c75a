"""What a keeper and a template say to each other, as JSON in sequenced packets over a socket pair.

template -> keeper   Loaded, once: the module is imported, or why the template can not be used
keeper -> template   Fork, with descriptors attached: stdout, stderr, control, then http and websocket if any
template -> keeper   Forked, one answer for each order, in order
"""

from typing import Final

import msgspec

from omnitron.control.replica import BootSpec

ENV_TEMPLATE: Final = "OMNITRON_TEMPLATE"  # JSON of TemplateStart
MAX_MESSAGE: Final = 1024 * 1024  # bytes of one message; an environment that does not fit is spawned instead
MAX_DESCRIPTORS: Final = 5


class TemplateStart(msgspec.Struct, frozen=True, kw_only=True):
    """channel: the template's end of the socket pair. module: to import. cwd: where modules are found.

    http: whether its replicas serve HTTP, so that what this takes is imported too.
    """

    channel: int
    module: str
    cwd: str
    http: bool = False


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """threads: of the template; forking with more than one is not safe. error: of the import, with its traceback."""

    threads: int = 1
    error: str = ""


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """boot: its descriptor numbers are replaced by those received. transports: names of the descriptors after three."""

    boot: BootSpec
    env: dict[str, str]
    transports: tuple[str, ...] = ()


class Forked(msgspec.Struct, frozen=True, kw_only=True):
    pid: int = 0
    error: str = ""
