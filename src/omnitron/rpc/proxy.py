"""A proxy looks like the service class to type checkers and has its `@rpc` methods at run time, each a `Caller`."""

from dataclasses import replace
from typing import Any, TypeVar, cast

from omnitron.base.clock import Clock
from omnitron.base.errors import DefinitionError
from omnitron.base.units import Duration, seconds
from omnitron.rpc.caller import Caller, CallOptions, WorkerGone
from omnitron.rpc.contract import ServiceContract
from omnitron.rpc.pool import Routes

T = TypeVar("T")


class Proxy:
    """Stateless but for its routes: share it freely within an event loop."""

    def __init__(
        self,
        contract: ServiceContract,
        routes: Routes,
        clock: Clock,
        default_deadline_s: float,
        worker_gone: WorkerGone | None,
        options: CallOptions,
    ) -> None:
        self._made_of = (contract, routes, clock, default_deadline_s, worker_gone)
        self._options = options
        for name, method in contract.methods.items():
            caller = Caller(method, routes, options, clock, default_deadline_s, worker_gone)
            setattr(self, name, caller.stream if method.stream else caller.unary)

    def __repr__(self) -> str:
        return f"<Remote {self._made_of[0]}>"

    def __getattr__(self, name: str) -> Any:
        contract = self._made_of[0] if "_made_of" in vars(self) else None
        raise AttributeError(
            f"{contract} has no remote method {name!r}: mark it @rpc to call it from other processes.",
            name=name,
            obj=self,
        )


def with_options(proxy: T, *, key: str | None = None, deadline: Duration | None = None) -> T:
    """The same remote service with options for each call made through what is returned.

    key: calls with equal keys meet at the same replica. deadline: for each call, seconds or text like "2s".
    """
    if not isinstance(proxy, Proxy):
        raise DefinitionError(f"{proxy!r} is no remote service.", remedy="Give with_options a Remote[...].")
    options = proxy._options
    if key is not None:
        options = replace(options, key=key)
    if deadline is not None:
        options = replace(options, deadline_s=seconds(deadline, what="deadline"))
    return cast(T, Proxy(*proxy._made_of, options))
