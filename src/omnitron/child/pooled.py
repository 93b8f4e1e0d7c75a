"""In dev: a service of a pool that keeps state in itself fails at once, and not in production by wrong answers.

The next call may go to another replica, which has not seen what this one was told. So the instance's class becomes a
subclass made here, whose attributes can be set by `__init__`, hooks and jobs, but not while a call runs. What is not
seen: a list or dictionary of the instance that is changed in place. Elsewhere than in dev nothing is done, at no cost.
"""

import logging
from typing import Any

from omnitron.base.errors import UnsharedState
from omnitron.control.replica import BootSpec
from omnitron.declare.service import service_mark
from omnitron.model.process import Process
from omnitron.rpc.context import current_call

log = logging.getLogger("omnitron.replica")


def is_guarded(boot: BootSpec, process: Process) -> bool:
    """Whether the replica is, or may come to be, one of several, in dev."""
    return boot.dev and max(boot.siblings, process.instances, process.scaling.max_instances) > 1


def guard(instance: object) -> None:
    """From now on, setting an attribute of it during a call raises UnsharedState. `isinstance` holds as before."""
    try:
        object.__setattr__(instance, "__class__", _guarded(type(instance)))  # past a `__setattr__` of its own
    except TypeError as error:  # its layout, or its metaclass, allows no such subclass
        log.debug("%r is not guarded: %s", type(instance), error)


def _guarded(cls: type) -> type:
    set_as_before: Any = cls.__setattr__

    def set_attribute(self: object, name: str, value: Any) -> None:
        if current_call() is not None and not isinstance(getattr(cls, name, None), property):
            raise UnsharedState(
                f"{cls.__qualname__}.{name} was set during a call, in one replica of several: "
                "the next call may come to another, which does not know of it.",
                remedy="Keep it in Redis or Postgres, or, if it may be lost, in a dictionary by the key with which "
                "with_options(remote, key=...) sends calls to one replica.",
                details={"service": str(service_mark(cls) or cls.__qualname__), "attribute": name},
            )
        set_as_before(self, name, value)

    members = {
        "__slots__": (),
        "__setattr__": set_attribute,
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    if (mark := service_mark(cls)) is not None:  # which is not inherited
        members["__omnitron_service__"] = mark
    metaclass: Any = type(cls)
    made: type = metaclass(cls.__name__, (cls,), members)
    return made
