"""Who serves what in one stack: what the keepers publish, handed on to the keepers whose processes call it.

Only apps that need each other hear of each other. What a keeper published stays valid while it is away: its replicas
serve on. It is withdrawn when the app ends.
"""

from collections.abc import Iterable

from omnitron.control.events import Event
from omnitron.control.keeper import ServiceEndpoints
from omnitron.daemon.app_task import AppTask
from omnitron.daemon.decisions.apps import foreign


class Directory:
    def __init__(self) -> None:
        self._published: dict[str, list[ServiceEndpoints]] = {}
        self._shown: dict[str, list[ServiceEndpoints]] = {}

    def publish(self, app: str, services: list[ServiceEndpoints], tasks: Iterable[AppTask]) -> None:
        """What the app exposes now, in place of what it did."""
        if services:
            self._published[app] = services
        else:
            self._published.pop(app, None)
        self.refresh(tasks)

    def refresh(self, tasks: Iterable[AppTask]) -> None:
        """Show each app what it needs, where that differs from what it was shown last."""
        for task in tasks:
            if task.spec is None:
                continue
            services = foreign(task.spec, self._published)
            if services != self._shown.get(task.app, []):
                self._shown[task.app] = services
                task.show(services)

    def died(self, app: str, event: Event, tasks: Iterable[AppTask]) -> None:
        """A replica of the app has; those who call it may wait for an answer that will not come."""
        for task in tasks:
            if any(service.app == app for service in self._shown.get(task.app, [])):
                task.gone(event)

    def forgotten(self, app: str, tasks: Iterable[AppTask]) -> None:
        """A new keeper, or a new daemon's first word to it: it was shown nothing yet."""
        self._shown.pop(app, None)
        self.refresh(tasks)

    def all(self) -> list[ServiceEndpoints]:
        """Everything published, by app."""
        return [service for _, services in sorted(self._published.items()) for service in services]
