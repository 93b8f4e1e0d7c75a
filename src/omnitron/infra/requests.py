"""What the daemon asks of the throwaway processes, and what they answer.

Apart from what they do, because doing it imports drivers and clients of servers, which the daemon stays free of.
"""

from typing import Final

import msgspec

from omnitron.infra.plan import ServicePlan
from omnitron.infra.settle import Settled
from omnitron.model.process import Process

PREPARE: Final = "omnitron.infra.prepare"
PREPARE_TIMEOUT: Final = 600.0  # seconds; a copy and a sync on a slow disk
PROVISION: Final = "omnitron.infra.provision"
PROVISION_TIMEOUT: Final = 180.0  # seconds for all of it
MIGRATE: Final = "omnitron.infra.migrate"
MIGRATE_TIMEOUT: Final = 3600.0  # seconds; a migration may rewrite a large table


class PrepareRequest(msgspec.Struct, frozen=True, kw_only=True):
    """folder: of this service, `Home.data_dir(stack) / plan.name`. cache: None for the machine's or the user's own."""

    plan: ServicePlan
    port: int
    password: str
    folder: str
    cache: str | None = None


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """process: for the keeper. version: as in "PostgreSQL 18.6". fingerprint: changes when a restart is needed."""

    process: Process
    version: str
    fingerprint: str


class ProvisionRequest(msgspec.Struct, frozen=True, kw_only=True):
    plan: ServicePlan
    settled: Settled


class Provisioned(msgspec.Struct, frozen=True, kw_only=True):
    """version: as the server says, such as "PostgreSQL 18.6". created: databases made now."""

    version: str
    created: tuple[str, ...] = ()


class MigrateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """url: of the app's role. folder: as declared, relative to the working folder."""

    app: str
    url: str
    folder: str


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """applied: revisions or files applied now, in order."""

    applied: tuple[str, ...] = ()
