"""Between apps: which start first, and whose endpoints must be shown to whom."""

from collections.abc import Iterable, Mapping

from omnitron.control.keeper import AppSpec, ServiceEndpoints
from omnitron.store.records import Desired
from omnitron.supervise.order import Layers, start_order


def app_order(records: Iterable[Desired]) -> Layers:
    """Layers of apps: who is called or declared in `depends_on` starts first; calls may form a cycle."""
    apps = {record.spec.app: record for record in records}
    calls = {name: callees(record.spec, (r.spec for r in apps.values())) for name, record in apps.items()}
    depends_on = {name: record.depends_on for name, record in apps.items()}
    priority = {name: record.spec.shutdown.priority for name, record in apps.items()}
    return start_order(list(apps), calls, depends_on, priority)


def callees(spec: AppSpec, others: Iterable[AppSpec]) -> set[str]:
    """Apps whose exposed services `spec` calls and does not have itself."""
    wanted = _foreign_names(spec)
    return {
        other.app
        for other in others
        if other.app != spec.app
        and any(p.process.topology.expose and wanted & set(_names(other.app, p.services)) for p in other.processes)
    }


def foreign(spec: AppSpec, published: Mapping[str, Iterable[ServiceEndpoints]]) -> list[ServiceEndpoints]:
    """Of what the stack's apps publish (app -> services), what the processes of `spec` need from other apps."""
    wanted = _foreign_names(spec)
    return [
        service
        for app, services in sorted(published.items())
        if app != spec.app
        for service in services
        if wanted & set(_names(app, ((service.service, service.class_name),)))
    ]


def _foreign_names(spec: AppSpec) -> set[str]:
    """What it calls less what it has itself: its own app's services come first."""
    own = {name for process in spec.processes for name in _names(spec.app, process.services)}
    return {name for process in spec.processes for name in process.calls} - own


def _names(app: str, services: Iterable[tuple[str, str]]) -> list[str]:
    """All names a service answers to; as `model.exposure.Offer.names`."""
    plain = [name for service, class_name in services for name in (class_name, service, service.partition("@")[0])]
    return plain + [f"{app}/{name}" for name in plain]
