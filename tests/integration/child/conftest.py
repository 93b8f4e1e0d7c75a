import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from child_keeping import Keep, Replica

from omnitron.model.process import Process


@pytest.fixture
async def keep(tmp_path: Path) -> AsyncIterator[Keep]:
    """Start a replica of a module given as text; all of them are ended after the test."""
    replicas: list[Replica] = []

    def start(code: str = "", process: Process | None = None, **options: Any) -> Replica:
        if code:
            (tmp_path / "app.py").write_text(code)
        replicas.append(Replica(tmp_path, process or Process(name="worker", module="app"), **options))
        return replicas[-1]

    yield start
    for replica in replicas:
        await replica.close()
