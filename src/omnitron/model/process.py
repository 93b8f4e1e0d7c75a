"""One entry of a system: what runs, how often, with which limits."""

from typing import Literal

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.names import check_name
from omnitron.model.fields import Seconds, need_positive, normalise_seconds, normalise_tuple
from omnitron.model.health import Health
from omnitron.model.hooks import Hooks
from omnitron.model.references import code_ref, module_ref
from omnitron.model.restart import Restart
from omnitron.model.routes import CustomRoute
from omnitron.model.scaling import Limits, Recycle, Scaling
from omnitron.model.topology import Topology
from omnitron.model.transports import Transports


class Process(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly one of `module` (a Python module with services), `command` (any program) and `asgi` ("pkg.mod:app").

    instances: replicas, slots 0 to n-1. singleton: never two at a time, with a fencing token; excludes `instances`.
    critical: when it gives up, the app fails; else it is shown as given up and the rest goes on.
    startup_timeout: seconds from start to ready. warmup: "module:function" calls before ready, in order.
    preload: fork replicas from a process that has imported the module; None decides by `instances`.
    depends_on: processes of the same app that must be ready before this one starts (calls imply it).
    user: run as this user (needs root). stop_signal: of `command` entries, what asks it to end in order, as the
    keeper sends it first ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP").
    """

    name: str
    module: str | None = None
    command: tuple[str, ...] | None = None
    asgi: str | None = None
    instances: int = 1
    singleton: bool = False
    critical: bool = False
    transports: Transports = Transports()
    topology: Topology = Topology()
    health: Health = Health()
    scaling: Scaling = Scaling()
    recycle: Recycle = Recycle()
    limits: Limits = Limits()
    restart: Restart = Restart()
    startup_timeout: Seconds = 60.0
    warmup: tuple[str, ...] = ()
    preload: bool | None = None
    hooks: Hooks = Hooks()
    custom_routes: tuple[CustomRoute, ...] = ()
    depends_on: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None
    user: str | None = None
    stop_signal: Literal["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"] = "SIGTERM"

    def __post_init__(self) -> None:
        check_name(self.name, "process")
        normalise_seconds(self, "startup_timeout")
        need_positive(self, "startup_timeout")
        normalise_tuple(self, "custom_routes", "depends_on")
        warmup = tuple(code_ref(ref, f"warmup of {self.name}") for ref in self.warmup)
        msgspec.structs.force_setattr(self, "warmup", warmup)
        given = [kind for kind in ("module", "command", "asgi") if getattr(self, kind) is not None]
        if len(given) != 1:
            raise DefinitionError(
                f"Process {self.name!r} says {' and '.join(given) or 'nothing'} about what to run.",
                remedy='Give exactly one of module="pkg.mod", command=["prog", ...] and asgi="pkg.mod:app".',
            )
        if self.module is not None:
            module_ref(self.module, f"module of process {self.name!r}")
        if self.asgi is not None:
            code_ref(self.asgi, f"asgi application of process {self.name!r}")
        if self.command is not None:
            normalise_tuple(self, "command")
        if self.instances < 1:
            raise DefinitionError(
                f"Process {self.name!r} has instances={self.instances}.",
                remedy="Use at least 1, or stop the process with `omnitron stop`.",
            )
        if self.singleton and (self.instances != 1 or self.scaling.max_instances != 1):
            raise DefinitionError(
                f"Process {self.name!r} is a singleton with instances={self.instances}, "
                f"max_instances={self.scaling.max_instances}: two of it would both act on the outside.",
                remedy="Remove `instances` and `scaling`, or `singleton=True`.",
            )
        if self.scaling.strategy == "auto" and self.scaling.max_instances < self.instances:
            raise DefinitionError(
                f"Process {self.name!r}: max_instances={self.scaling.max_instances} is below "
                f"instances={self.instances}.",
                remedy="Raise Scaling.max_instances or lower instances.",
            )

    @property
    def kind(self) -> str:
        """ "module", "command" or "asgi"."""
        return "module" if self.module is not None else "command" if self.command is not None else "asgi"
