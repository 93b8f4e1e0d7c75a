"""Makes the infrastructure of a stack ready, by throwaway processes and a keeper; the daemon itself loads no driver."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec

from omnitron.base.errors import OmnitronError
from omnitron.base.home import Home, make_private
from omnitron.control.daemon import Progress
from omnitron.control.keeper import AppSpec
from omnitron.daemon.code import code_hash
from omnitron.daemon.decisions.fingerprint import digest
from omnitron.daemon.desired import DesiredState
from omnitron.daemon.infra_record import InfraRecord, infra_records
from omnitron.daemon.journal import Journal
from omnitron.infra.app import infra_app
from omnitron.infra.plan import INFRA_APP
from omnitron.infra.requests import (
    MIGRATE,
    MIGRATE_TIMEOUT,
    PREPARE,
    PREPARE_TIMEOUT,
    PROVISION,
    PROVISION_TIMEOUT,
    Migrated,
    MigrateRequest,
    Prepared,
    PrepareRequest,
    Provisioned,
    ProvisionRequest,
)
from omnitron.infra.settle import client_url
from omnitron.infra.steps import run_step
from omnitron.model.state import Want
from omnitron.store.records import Desired

MIGRATION_FILES: Final = (".py", ".sql", ".ini", ".mako")
Tell = Callable[[Progress], None]


class Infrastructure:
    """Of one stack."""

    def __init__(self, stack: str, home: Home, desired: DesiredState, journal: Journal) -> None:
        self._stack, self._home, self._desired, self._journal = stack, home, desired, journal

    def records(self) -> list[InfraRecord]:
        """Services the stack uses now."""
        return [r for r in infra_records(self._desired.secrets()) if r.plan.stack == self._stack and r.used]

    async def spec(self, tell: Tell, *, running: bool) -> AppSpec | None:
        """What the stack's "infra" keeper should run; None if nothing. Raises what `prepare` raises.

        running: whether that keeper lives; then what has not changed need not be prepared again.
        """
        native = [record for record in self.records() if record.plan.native]
        if not native:
            return None
        prepared = await asyncio.gather(*(self._prepared(record, tell, running) for record in native))
        spec = infra_app(
            self._stack,
            prepared,
            log_dir=str(self._home.log_dir(self._stack, INFRA_APP)),
            cwd=str(make_private(self._home.root)),
        )
        before = self._desired.get(self._stack, INFRA_APP)
        if before is None or before.spec != spec or before.want is not Want.UP:
            self._desired.save(put=[Desired(spec=spec)])
        return spec

    async def provision(self, tell: Tell) -> None:
        """Databases and roles of the apps, where something changed since the last time. Raises what it raises."""
        await asyncio.gather(*(self._provisioned(record, tell) for record in self.records()))

    async def _provisioned(self, record: InfraRecord, tell: Tell) -> None:
        mark = digest(record.plan, record.settled)
        if record.provisioned == mark:
            return
        subject = f"{INFRA_APP}/{record.plan.name}"
        request = ProvisionRequest(plan=record.plan, settled=record.settled)
        say = _said(subject, "starting", tell)
        result = await run_step(PROVISION, request, Provisioned, timeout=PROVISION_TIMEOUT, say=say)
        self._save(record, provisioned=mark, version=result.version)
        self._made_anew(record, result.created)
        self._journal.tell(self._stack, subject, "infra.ready", result.version)
        tell(Progress(subject=subject, state="ready", detail=result.version, done=True))

    def _made_anew(self, record: InfraRecord, databases: Collection[str]) -> None:
        """Empty databases need their migrations, whatever was run before."""
        apps = {client.app for client in record.plan.clients if client.database in databases}
        stale = [r for r in self._desired.of(self._stack) if r.spec.app in apps]
        if stale:
            self._desired.save(put=[msgspec.structs.replace(r, provision="") for r in stale])

    async def migrate(self, record: Desired, tell: Tell) -> None:
        """The app's migrations, if they or its database changed since they were last run. Raises what it raises."""
        spec = record.spec
        for service in self.records():
            for client in service.plan.clients:
                if client.app != spec.app or client.migrations is None:
                    continue
                url = client_url(service.plan, service.settled, client)
                files = await asyncio.to_thread(code_hash, f"{spec.cwd}/{client.migrations}", MIGRATION_FILES)
                if record.provision == (mark := digest(url, client.migrations, files)):
                    continue
                request = MigrateRequest(app=spec.app, url=url, folder=client.migrations)
                say = _said(spec.app, "migrating", tell)
                result = await run_step(
                    MIGRATE,
                    request,
                    Migrated,
                    timeout=MIGRATE_TIMEOUT,
                    python=spec.python,
                    cwd=spec.cwd,
                    say=say,
                )
                applied = ", ".join(result.applied) or "nothing new"
                self._journal.tell(self._stack, spec.app, "app.migrated", applied)
                current = self._desired.get(self._stack, spec.app) or record
                self._desired.save(put=[msgspec.structs.replace(current, provision=mark)])

    async def _prepared(self, record: InfraRecord, tell: Tell, running: bool) -> Prepared:
        if running and record.prepared is not None and record.provisioned == digest(record.plan, record.settled):
            return record.prepared
        plan = record.plan
        subject = f"{INFRA_APP}/{plan.name}"
        tell(Progress(subject=subject, state="starting", detail="preparing"))
        request = PrepareRequest(
            plan=plan,
            port=record.settled.port or 0,
            password=record.settled.password,
            folder=str(self._home.data_dir(self._stack) / plan.name),
        )
        try:
            prepared = await run_step(
                PREPARE,
                request,
                Prepared,
                timeout=PREPARE_TIMEOUT,
                say=_said(subject, "starting", tell),
            )
        except OmnitronError as error:
            self._journal.tell(self._stack, subject, "infra.failed", str(error), "error")
            tell(Progress(subject=subject, state="failed", detail=str(error), done=True, failed=True))
            raise
        self._save(record, prepared=prepared, provisioned="")
        return prepared

    def _save(self, record: InfraRecord, **changes: Any) -> None:
        current = next((r for r in self.records() if r.plan.name == record.plan.name), record)
        self._desired.save(secrets=[msgspec.structs.replace(current, **changes).secret])


def _said(subject: str, state: str, tell: Tell) -> Callable[[str], None]:
    return lambda text: tell(Progress(subject=subject, state=state, detail=text))
