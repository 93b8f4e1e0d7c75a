"""A contract as plain data: for `describe`, documentation, and JSON schemas of what goes in and comes out."""

from typing import Any, get_origin

import msgspec

from omnitron.rpc.contract import MethodContract, Param, ServiceContract
from omnitron.wire.codec import encode_hook


class ParamFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """type: the annotation as text. default: as `repr`, if it has one."""

    name: str
    type: str
    required: bool = True
    default: str | None = None
    keyword_only: bool = False


class MethodFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """result: the annotation as text, of one item if `stream`. schema: JSON schema of {"args": .., "result": ..}."""

    name: str
    params: tuple[ParamFacts, ...]
    result: str
    stream: bool = False
    idempotent: bool = False
    anonymous: bool = False
    key: str | None = None
    deadline_s: float | None = None
    max_concurrency: int | None = None
    doc: str = ""
    schema: dict[str, Any] = {}


class ServiceFacts(msgspec.Struct, frozen=True):
    name: str
    version: str
    class_name: str
    methods: tuple[MethodFacts, ...]


def contract_facts(contract: ServiceContract) -> ServiceFacts:
    """All of it, methods by name."""
    methods = tuple(_method_facts(method) for _, method in sorted(contract.methods.items()))
    return ServiceFacts(contract.name, contract.version, contract.class_name, methods)


def _method_facts(method: MethodContract) -> MethodFacts:
    return MethodFacts(
        name=method.name,
        params=tuple(_param_facts(param) for param in method.params),
        result=_type_text(method.result),
        stream=method.stream,
        idempotent=method.mark.idempotent,
        anonymous=method.mark.anonymous,
        key=method.mark.key,
        deadline_s=method.mark.deadline_s,
        max_concurrency=method.mark.max_concurrency,
        doc=method.doc,
        schema=_schema(method),
    )


def _param_facts(param: Param) -> ParamFacts:
    default = None if param.required else repr(param.default)
    return ParamFacts(param.name, _type_text(param.annotation), param.required, default, param.keyword_only)


def _type_text(annotation: Any) -> str:
    if annotation is None or annotation is type(None):
        return "None"
    return annotation.__name__ if isinstance(annotation, type) and get_origin(annotation) is None else str(annotation)


def _schema(method: MethodContract) -> dict[str, Any]:
    """Arguments as an object of named properties, as the HTTP transport takes them."""
    types = [param.annotation for param in method.params] + [method.result]
    schemas, components = msgspec.json.schema_components(
        types, schema_hook=_model_schema, ref_template="#/$defs/{name}"
    )
    *params, result = schemas
    for param, schema in zip(method.params, params, strict=True):
        if not param.required:
            schema["default"] = _plain(param.default)
    args = {
        "type": "object",
        "properties": {param.name: schema for param, schema in zip(method.params, params, strict=True)},
        "required": [param.name for param in method.params if param.required],
        "additionalProperties": False,
    }
    schema = {"args": args, "result": result}
    return {**schema, "$defs": components} if components else schema


def _model_schema(cls: type) -> dict[str, Any]:
    model_schema = getattr(cls, "model_json_schema", None)
    if model_schema is None:
        raise NotImplementedError(cls.__qualname__)
    schema: dict[str, Any] = model_schema()
    return schema


def _plain(value: Any) -> Any:
    try:
        return msgspec.to_builtins(value, enc_hook=encode_hook, str_keys=True)
    except (TypeError, NotImplementedError):
        return repr(value)
