"""Marking the Protocols of the control plane as services, so that one RPC carries them like any other."""

from collections.abc import Callable
from types import FunctionType
from typing import TypeVar

from omnitron.declare.rpc import rpc
from omnitron.declare.service import ServiceMark

C = TypeVar("C", bound=type)


def control_service(name_at_version: str) -> Callable[[C], C]:
    """Every public method of the Protocol can be called. The name has a dot, so no user's service can have it."""
    name, _, version = name_at_version.partition("@")

    def decorate(cls: C) -> C:
        setattr(cls, "__omnitron_service__", ServiceMark(name, version))  # noqa: B010 - as in declare.service
        for attribute, value in vars(cls).items():
            if isinstance(value, FunctionType) and not attribute.startswith("_"):
                rpc(value)
        return cls

    return decorate
