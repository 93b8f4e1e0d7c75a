"""Values no process could be run with are refused where they are written."""

from collections.abc import Callable
from typing import Any

import pytest

from omnitron.base.errors import DefinitionError
from omnitron.model.health import Health
from omnitron.model.process import Process
from omnitron.model.restart import Backoff, Restart
from omnitron.model.scaling import Limits, Recycle, Scaling
from omnitron.model.transports import Http, KeepAlive, WebSocket

WRONG: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (Scaling, {"target_cpu": 0}),
    (Scaling, {"target_queue": 0.0}),
    (Scaling, {"max_instances": 0}),
    (Scaling, {"cooldown": "soon"}),
    (Recycle, {"age": 0}),
    (Recycle, {"calls": 0}),
    (Recycle, {"memory": "0MiB"}),
    (Limits, {"open_files": 0}),
    (Limits, {"concurrency": 0}),
    (Limits, {"queue": -1}),
    (Health, {"interval": 0}),
    (Health, {"timeout": 0}),
    (Health, {"failures": 0}),
    (Restart, {"intensity": -1}),
    (Restart, {"period": 0}),
    (Backoff, {"cap": 0}),
    (Http, {"port": 1, "request_timeout": 0}),
    (Http, {"port": 1, "max_connections": 0}),
    (WebSocket, {"port": 1, "max_message_size": 0}),
    (KeepAlive, {"interval": 0}),
    (Process, {"name": "p", "module": "m", "startup_timeout": 0}),
    (Process, {"name": "p", "module": "m", "instances": 0}),
]


@pytest.mark.parametrize(("make", "fields"), WRONG)
def test_nonsense_is_refused_with_a_remedy(make: Callable[..., Any], fields: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as refused:
        make(**fields)
    assert refused.value.remedy


def test_a_websocket_says_how_it_is_kept_alive() -> None:
    assert WebSocket(port=1, keep_alive=KeepAlive(interval="15s", timeout=5)).keep_alive.interval == 15.0
