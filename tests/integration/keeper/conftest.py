import os
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from keeper_world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory(prefix="ok-") as root:
        made = World(Path(root))
        await made.start_keeper()
        yield made
        await made.close()
        for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal()):  # a failed test leaves nothing
            try:
                if os.readlink(f"/proc/{pid}/fd/1").startswith(str(made.run)):
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
