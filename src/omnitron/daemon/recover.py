"""After the store was lost: what the keepers last applied is what was desired. They wrote it down themselves.

Only what lives is taken over, as a keeper that ends removes its file; what was down comes back with `up`.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec

from omnitron.base.home import Home
from omnitron.control.keeper import AppSpec
from omnitron.daemon.decisions.infrastructure import infra_claims
from omnitron.daemon.infra_record import InfraRecord
from omnitron.store.records import Claim, Desired

log = logging.getLogger("omnitron.daemon")


class _Saved(msgspec.Struct):
    """The part of a keeper's `keeper.json` that matters here."""

    spec: AppSpec | None = None


def recovered(home: Home, infra: Iterable[InfraRecord]) -> tuple[list[Desired], list[Claim]]:
    """Records without a description, and the ports in them and in `infra`."""
    specs = [spec for path in sorted(home.root.glob("stacks/*/*/logs")) if (spec := _applied(home, path)) is not None]
    claims = {claim.port: claim for claim in infra_claims(infra)}
    claims |= {
        port: Claim(port, spec.stack, f"{spec.app}/{process.process.name}/{kind}")
        for spec in specs
        for process in spec.processes
        for kind, port in process.ports.items()
    }
    return [Desired(spec=spec) for spec in specs], list(claims.values())


def _applied(home: Home, log_dir: Path) -> AppSpec | None:
    stack, app = log_dir.parts[-3:-1]
    path = home.keeper_state(stack, app)
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Saved).spec
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.error("%s can not be read: %s", path, error)
        return None
