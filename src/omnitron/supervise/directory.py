"""Who may be called where: what the app's own processes offer, and what the daemon said of other apps. Pure."""

from collections.abc import Iterable, Sequence

from omnitron.control.keeper import ServiceEndpoints


def needed(calls: Sequence[str], services: Iterable[ServiceEndpoints]) -> list[ServiceEndpoints]:
    """Those services a process calls, named by class or service, perhaps with app and version: "market/ohlcv@1"."""
    return [service for service in services if any(_names(call, service) for call in calls)]


def _names(call: str, service: ServiceEndpoints) -> bool:
    app, _, rest = call.rpartition("/")
    name = rest.partition("@")[0]
    return app in ("", service.app) and name in (service.class_name, service.service.partition("@")[0])
