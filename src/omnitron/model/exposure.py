"""Who offers what to whom: resolving the name a `Remote[T]` or an `access` entry stands for.

Called by the check (to refuse) and by the daemon (to connect). A name is a class name ("PriceFeed"), a service name
("price", "price@1.2.0") or either qualified by the app ("market/PriceFeed").
"""

import msgspec

from omnitron.model.facts import AppFacts, ServiceFact


class Offer(msgspec.Struct, frozen=True):
    """A service and the process that serves it. exposed: to siblings and other apps."""

    app: str
    process: str
    service: ServiceFact
    exposed: bool

    @property
    def names(self) -> tuple[str, ...]:
        """All the names it answers to."""
        versioned = f"{self.service.name}@{self.service.version}"
        plain = (self.service.class_name, self.service.name, versioned)
        return plain + tuple(f"{self.app}/{name}" for name in plain)


def offers(apps: tuple[AppFacts, ...]) -> tuple[Offer, ...]:
    """All services of all processes, in the order of the definition."""
    return tuple(
        Offer(app.app, facts.process, service, app.system.process(facts.process).topology.expose)
        for app in apps
        for facts in app.processes
        for service in facts.services
    )


def resolve(name: str, app: str, known: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """The offers `name` stands for, seen from `app`: its own app's first; several mean the name is ambiguous."""
    found = tuple(offer for offer in known if name in offer.names)
    own = tuple(offer for offer in found if offer.app == app)
    return own or found
