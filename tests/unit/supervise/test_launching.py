"""What a process is started with."""

from pathlib import Path

import pytest

from omnitron.control.keeper import AppSpec, ProcessSpec
from omnitron.model.process import Process
from omnitron.supervise.launching import environment

ENTRIES = (Process(name="p", command=("true",)), Process(name="p", module="m"), Process(name="p", asgi="m:app"))


@pytest.mark.parametrize("process", ENTRIES, ids=lambda process: process.kind)
def test_every_kind_of_process_knows_who_it_is_and_can_be_found_by_its_home(process: Process) -> None:
    spec = ProcessSpec(process=process, env={"GREETING": "hi"})
    app = AppSpec(app="a", stack="test", version="1", cwd="/", python="python", processes=(spec,))
    env = environment({"PATH": "/bin", "OMNITRON_SECRET": "the keeper's"}, Path("/home"), app, spec, 3, 7)
    assert env == {
        "PATH": "/bin",
        "PYTHONUNBUFFERED": "1",
        "GREETING": "hi",
        "OMNITRON_HOME": "/home",
        "OMNITRON_STACK": "test",
        "OMNITRON_INSTANCE_ID": "a/p/3",
        "OMNITRON_INCARNATION": "7",
    }
