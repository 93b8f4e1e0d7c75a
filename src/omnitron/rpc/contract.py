"""What a service class promises: its `@rpc` methods with the types of what goes in and comes out.

Both sides read the contract from the class: the server to decode arguments, the client to decode results. So a class
of which only the signatures matter, as a Protocol, is as good as one with code.
"""

import collections.abc
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec

from omnitron.base.errors import DefinitionError, InvalidArguments
from omnitron.declare.rpc import RpcMark, rpc_mark
from omnitron.declare.service import service_mark
from omnitron.rpc.sendable import check_sendable
from omnitron.wire.codec import ArgumentsDecoder, decode_hook, result_decoder
from omnitron.wire.frames import Body

_STREAMS: Final = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterable,
)
_REQUIRED: Final = inspect.Parameter.empty
_KINDS: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


@dataclass(frozen=True, slots=True)
class Param:
    name: str
    annotation: Any
    default: Any
    keyword_only: bool

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED


@dataclass(frozen=True, slots=True, eq=False)
class MethodContract:
    """One callable method.

    title: "ohlcv.rebuild_candle", for messages. result: the type of what is returned, or of one item if it is a stream.
    positional: parameters that need not be named. required: arguments that must travel.
    """

    service: str
    version: str
    name: str
    title: str
    params: tuple[Param, ...]
    result: Any
    stream: bool
    mark: RpcMark
    signature: inspect.Signature
    decode_args: Callable[[Body], tuple[Any, ...]]
    decode_result: Callable[[Body], Any]
    positional: int
    required: int
    doc: str

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments in the order of the parameters, without trailing defaults. Raises InvalidArguments."""
        if not kwargs and self.required <= len(args) <= self.positional:
            return args
        try:
            given = self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise InvalidArguments(
                f"{self.title} was called wrongly: {error}.", details={"method": self.title}
            ) from None
        last = max((i for i, p in enumerate(self.params) if p.name in given), default=-1)
        return tuple(given.get(p.name, p.default) for p in self.params[: last + 1])

    def convert(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Like `bind`, for values that come from JSON or a command line: each becomes what its annotation says."""
        bound = self.bind(args, kwargs)
        return tuple(self._convert(param, value) for param, value in zip(self.params, bound, strict=False))

    def _convert(self, param: Param, value: Any) -> Any:
        try:
            return msgspec.convert(value, param.annotation, strict=False, dec_hook=decode_hook)
        except (ValueError, msgspec.MsgspecError) as error:
            raise InvalidArguments(
                f"{self.title} was called with an argument that does not fit: {error} (`{param.name}`).",
                details={"method": self.title, "parameter": param.name},
            ) from error

    def key_of(self, args: tuple[Any, ...]) -> str | None:
        """The value of the parameter named by `@rpc(key=...)`, as text, from bound arguments."""
        for index, param in enumerate(self.params):
            if param.name == self.mark.key:
                return str(args[index] if index < len(args) else param.default)
        return None


@dataclass(frozen=True, slots=True, eq=False)
class ServiceContract:
    name: str
    version: str
    class_name: str
    methods: Mapping[str, MethodContract]

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def contract_of(cls: type) -> ServiceContract:
    """Read a class marked `@service`. Raises DefinitionError naming class, method and parameter."""
    mark = service_mark(cls)
    if mark is None:
        raise DefinitionError(
            f"{cls.__qualname__} is not a service.", remedy='Mark the class itself: @service("name@1.0.0").'
        )
    methods: dict[str, MethodContract] = {}
    for name in dir(cls):
        function = inspect.getattr_static(cls, name, None)
        if (rpc := rpc_mark(function)) is not None:
            methods[name] = _method(cls, name, function, rpc, mark.name, mark.version)
    return ServiceContract(mark.name, mark.version, cls.__qualname__, methods)


def _method(cls: type, name: str, function: Any, mark: RpcMark, service: str, version: str) -> MethodContract:
    where = f"{cls.__qualname__}.{name}"
    if name.startswith("_"):
        raise DefinitionError(f"{where} is marked @rpc and private.", remedy="Rename it without the underscore.")
    hints = _hints(function, where)
    signature = inspect.signature(function)
    _, *parameters = signature.parameters.values()  # without self
    params = tuple(_param(where, parameter, hints) for parameter in parameters)
    result, stream = _result(where, function, hints)
    title = f"{service}.{name}"
    return MethodContract(
        service=service,
        version=version,
        name=name,
        title=title,
        params=params,
        result=result,
        stream=stream,
        mark=mark,
        signature=signature.replace(parameters=parameters),
        decode_args=ArgumentsDecoder(
            title, [p.name for p in params], [p.annotation for p in params], _required_count(params)
        ).decode,
        decode_result=result_decoder(result, title),
        positional=sum(not p.keyword_only for p in params),
        required=_required_count(params),
        doc=inspect.getdoc(function) or "",
    )


def _required_count(params: tuple[Param, ...]) -> int:
    """How many arguments must travel: up to the last parameter without a default (keyword-only may follow defaults)."""
    return max((index + 1 for index, param in enumerate(params) if param.required), default=0)


def _hints(function: Any, where: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise DefinitionError(
            f"The annotations of {where} can not be read: {error}.",
            remedy="Import the type at module level, not under TYPE_CHECKING or inside a function.",
        ) from error


def _param(where: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Param:
    what = f"{where}({parameter.name})"
    if parameter.kind not in _KINDS:
        raise DefinitionError(f"{what} takes any number of arguments.", remedy="Use a list or a struct instead.")
    if parameter.name not in hints:
        raise DefinitionError(
            f"{what} has no annotation.", remedy=f"Say its type: {parameter.name}: int, for example; it is validated."
        )
    check_sendable(hints[parameter.name], what)
    keyword_only = parameter.kind is inspect.Parameter.KEYWORD_ONLY
    return Param(parameter.name, hints[parameter.name], parameter.default, keyword_only)


def _result(where: str, function: Any, hints: Mapping[str, Any]) -> tuple[Any, bool]:
    if "return" not in hints:
        raise DefinitionError(f"{where} does not say what it returns.", remedy="Annotate it, with -> None if nothing.")
    annotation = hints["return"]
    if inspect.isgeneratorfunction(function):
        raise DefinitionError(f"{where} is a plain generator.", remedy="Make it an async generator to be a stream.")
    stream = annotation in _STREAMS or get_origin(annotation) in _STREAMS
    if stream and inspect.iscoroutinefunction(function):
        raise DefinitionError(
            f"{where} is a coroutine that returns an iterator.",
            remedy="Yield in it, or write `def` instead of `async def`, to make it a stream.",
        )
    if inspect.isasyncgenfunction(function) and not stream:
        raise DefinitionError(f"{where} yields but is not annotated so.", remedy="Write -> AsyncIterator[Item].")
    result = (get_args(annotation) or (Any,))[0] if stream else annotation
    check_sendable(result, f"The result of {where}")
    return result, stream
