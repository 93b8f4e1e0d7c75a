"""What `from omnitron import ...` offers is a promise: adding to it is a decision, taking away from it breaks users."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import omnitron

PINNED = [
    "App", "Backoff", "CallContext", "CallError", "Cancelled", "CustomRoute", "DatabaseNeed", "DeadlineExceeded",
    "DefinitionError", "Ecosystem", "Forbidden", "Health", "Hooks", "Http", "InfraService", "Infrastructure",
    "InvalidArguments", "KeepAlive", "Limits", "Moved", "Needs", "NotExecuted", "NotFound", "OmnitronError",
    "OperationError", "Overloaded", "Process", "ProvideContext", "Recycle", "Refused", "Remote", "RemoteError",
    "Restart", "Scaling", "ServiceNotFound", "Shutdown", "Stack", "StackSettings", "System", "Topology", "Transports",
    "Unavailable", "WebSocket", "WorkerDied", "__version__", "cron", "current_call", "define_ecosystem",
    "define_system", "interval", "on_start", "on_stop", "once", "provide", "route", "rpc", "service", "warmup",
    "with_options",
]  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert sorted(omnitron.__all__) == sorted(PINNED)


@pytest.mark.parametrize("name", PINNED)
def test_each_public_name_can_be_imported(name: str) -> None:
    assert getattr(omnitron, name) is not None


def test_the_decorator_rpc_is_not_hidden_by_the_package_of_that_name() -> None:
    code = "import omnitron.rpc.client; from omnitron import rpc; print(rpc.__name__, type(rpc).__name__)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["rpc", "function"]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'proces'"):
        omnitron.proces  # type: ignore[attr-defined] # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    stub = ast.parse(Path(omnitron.__file__).with_suffix(".pyi").read_text())
    seen = {
        alias.asname or alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen | {"__version__"} == set(PINNED)


def test_importing_omnitron_imports_nothing_heavy() -> None:
    code = (
        "import sys, omnitron; print(*(m for m in ('asyncio', 'msgspec', 'uvicorn', 'starlette') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
