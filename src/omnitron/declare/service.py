"""`@service("name@1.0.0")`: this class can be called from other processes."""

import re
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.names import check_name

C = TypeVar("C", bound=type)

_SEMVER: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


class ServiceMark(msgspec.Struct, frozen=True):
    """What a service calls itself. Two major versions may be served side by side."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def service(name_at_version: str) -> Callable[[C], C]:
    """Mark a class as the service `name@major.minor.patch` (semver.org).

    Raises DefinitionError if the text is not of that form.
    """
    mark = _parse(name_at_version)

    def decorate(cls: C) -> C:
        if not isinstance(cls, type):
            raise DefinitionError(f"@service({name_at_version!r}) is on {cls!r}.", remedy="Put it on a class.")
        setattr(cls, "__omnitron_service__", mark)  # noqa: B010 - type checkers know no such attribute
        return cls

    return decorate


def service_mark(cls: type) -> ServiceMark | None:
    """The mark put on this very class, not on a base of it: a subclass is a service of its own or none."""
    mark = vars(cls).get("__omnitron_service__")
    return mark if isinstance(mark, ServiceMark) else None


def _parse(text: str) -> ServiceMark:
    if not isinstance(text, str):
        raise DefinitionError(f"@service got {text!r}.", remedy='Name the service: @service("name@1.0.0").')
    name, _, version = text.partition("@")
    for part in name.split("."):  # dots are for Omnitron's own, as in omnitron.replica
        check_name(part, "service")
    if not _SEMVER.fullmatch(version):
        raise DefinitionError(
            f"The service {text!r} has {'no version' if not version else 'a version that is not major.minor.patch'}.",
            remedy=f'Write the version in full, as in @service("{name}@1.0.0").',
        )
    return ServiceMark(name, version)
