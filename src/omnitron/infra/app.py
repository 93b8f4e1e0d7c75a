"""The pseudo-app "infra" of a stack: its services, supervised by a keeper like any other processes."""

import sys
from collections.abc import Iterable
from typing import Final

from omnitron.control.keeper import AppSpec, ProcessSpec
from omnitron.infra.plan import INFRA_APP
from omnitron.infra.requests import Prepared
from omnitron.model.shutdown import Shutdown

STOP_TIMEOUT: Final = 60.0  # seconds; the last checkpoint of a busy Postgres, before it is killed


def infra_app(stack: str, services: Iterable[Prepared], *, log_dir: str, cwd: str) -> AppSpec:
    """cwd: any folder that exists; each service has its own."""
    processes = (ProcessSpec(process=one.process, fingerprint=one.fingerprint) for one in services)
    return AppSpec(
        app=INFRA_APP,
        stack=stack,
        version="1",
        cwd=cwd,
        python=sys.executable,
        processes=tuple(processes),
        shutdown=Shutdown(timeout=STOP_TIMEOUT),
        log_dir=log_dir,
    )
