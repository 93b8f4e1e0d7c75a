"""One door each to time, chance, tasks and processes: the source is read, an offender is named."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "omnitron"

# What may be called only in these files; the reason stands beside each exception.
DOORS: dict[str, dict[str, str]] = {
    "time": {
        "base/clock.py": "the door",
        "rpc/blocking.py": "a client without a loop, for command lines",
        "child/http/protocol.py": "the Date header",
        "cli/": "commands live a moment and wait for people",
        "testing/": "polls real systems",
        "infra/": "throwaway processes with a deadline",
        "supervise/processinfo.py": "reads when processes were started",
        "store/": "the age of a lock file",
        "child/template.py": "forked, without a loop",
    },
    "random": {
        "base/rand.py": "the door",
        "child/template.py": "gives each forked replica a seed of its own",
    },
    "subprocess": {
        "supervise/spawn.py": "the door",
        "daemon/keepers.py": "keepers, which outlive the daemon",
        "child/describe.py": "a throwaway process per app",
        "infra/": "throwaway processes as another user",
        "cli/": "describe, and the daemon's start",
        "client/": "the daemon's start",
        "testing/": "drives the command line",
    },
}
TASKS = {
    "base/tasks.py": "the door",
    "kits/streams/producer.py": "children of a TaskGroup in the same function",
    "rpc/": "a task per call, counted in microseconds",
    "testing/": "simulated loops",
}
SILENT_PASS: set[str] = set()


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SRC.rglob("*.py")):
        yield path.relative_to(SRC).as_posix(), ast.parse(path.read_text())


def allowed(name: str, doors: dict[str, str]) -> bool:
    return any(name == door or (door.endswith("/") and name.startswith(door)) for door in doors)


def imports(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("module", DOORS)
def test_a_door_is_used_by_nobody_but_its_keeper(module: str) -> None:
    offenders = [name for name, tree in sources() if module in imports(tree) and not allowed(name, DOORS[module])]
    assert offenders == [], f"`{module}` is imported in {offenders}; take the door from base/ or supervise/spawn.py"


def test_tasks_are_started_by_their_door() -> None:
    offenders = [
        f"{name}:{node.lineno}"
        for name, tree in sources()
        if not allowed(name, TASKS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("create_task", "ensure_future")
    ]
    assert offenders == [], f"start tasks with base.tasks.TaskSet: {offenders}"


def test_no_error_is_swallowed_in_silence() -> None:
    offenders = [
        f"{name}:{node.lineno}"
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
    ]
    assert set(offenders) == SILENT_PASS


def test_nothing_is_imported_for_type_checkers_only() -> None:
    offenders = [
        name
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.alias)
        and "TYPE_CHECKING" in (getattr(node, "id", ""), getattr(node, "name", ""))
    ]
    assert offenders == []


def test_files_and_functions_stay_short() -> None:
    long = [name for name, _ in sources() if len((SRC / name).read_text().splitlines()) > 400]
    functions = [
        f"{name}:{node.lineno} {node.name}"
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 70
    ]
    assert (long, functions) == ([], [])
