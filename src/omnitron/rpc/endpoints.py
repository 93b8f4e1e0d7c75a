"""The directory: where the services of the system are. Pushed whole by the keeper, kept when nobody pushes."""

from collections.abc import Callable, Iterable

import msgspec

from omnitron.base.errors import ServiceNotFound
from omnitron.base.names import suggest
from omnitron.rpc.versions import compatible, version_key


class Endpoint(msgspec.Struct, frozen=True):
    """A replica that is ready. path: its published socket. incarnation: grows with each start of that slot."""

    replica: str
    path: str
    incarnation: int = 0
    concurrency: int = 64


class ServiceRecord(msgspec.Struct, frozen=True):
    """A version of a service, and who offers it."""

    app: str
    service: str
    version: str
    class_name: str
    endpoints: tuple[Endpoint, ...] = ()


class Wanted(msgspec.Struct, frozen=True):
    """What a caller asks for, read from "ohlcv", "ohlcv@1", "market/ohlcv@1.0.0", or the class name in place of it."""

    name: str
    version: str = ""
    app: str = ""

    @staticmethod
    def parse(text: str) -> "Wanted":
        app, _, rest = text.rpartition("/")
        name, _, version = rest.partition("@")
        return Wanted(name, version, app)

    def __str__(self) -> str:
        return f"{self.app}/{self.name}".lstrip("/") + f"@{self.version}".rstrip("@")


class Directory:
    """app: whose services are meant when two apps offer the same name and the caller says no app."""

    def __init__(self, app: str = "", records: Iterable[ServiceRecord] = ()) -> None:
        self.app = app
        self._records: tuple[ServiceRecord, ...] = tuple(records)
        self._listeners: list[Callable[[], None]] = []

    @property
    def records(self) -> tuple[ServiceRecord, ...]:
        return self._records

    def update(self, records: Iterable[ServiceRecord]) -> None:
        """Replace everything."""
        self._records = tuple(records)
        for listener in list(self._listeners):
            listener()

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after each update; the answer ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def find(self, wanted: Wanted) -> tuple[Endpoint, ...]:
        """Who offers it, in any compatible version (while a reload lasts there are two); nobody if it is not known.

        Raises ServiceNotFound if several apps, or several incompatible versions, could be meant.
        """
        named = [r for r in self._records if wanted.name in (r.service, r.class_name) and wanted.app in ("", r.app)]
        own = [record for record in named if record.app == self.app]
        fits = [record for record in own or named if compatible(wanted.version, record.version)]
        apps = sorted({record.app for record in fits})
        if len(apps) > 1:
            raise ServiceNotFound(
                f"{wanted} is offered by the apps {', '.join(apps)}.", remedy=f'Say which, as in "{apps[0]}/{wanted}".'
            )
        versions = sorted({record.version for record in fits}, key=version_key)
        if len(versions) > 1 and not compatible(versions[0], versions[-1]):
            raise ServiceNotFound(
                f"{wanted} is offered in the versions {', '.join(versions)}.",
                remedy=f'Say which, as in "{wanted.name}@{versions[-1]}".',
            )
        return tuple({endpoint.path: endpoint for record in fits for endpoint in record.endpoints}.values())

    def explain(self, wanted: Wanted) -> str:
        """Why `find` finds nobody, as a sentence."""
        versions = [f"{r.service}@{r.version}" for r in self._records if wanted.name in (r.service, r.class_name)]
        if versions:
            return f"The directory knows {', '.join(sorted(set(versions)))}, but no ready replica of {wanted}."
        names = {name for r in self._records for name in (r.service, r.class_name)}
        return f"The directory knows no service {wanted}.{suggest(wanted.name, names)}"
