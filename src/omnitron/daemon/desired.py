"""What should be: the store's records in memory, always equal to what is on disk."""

from collections.abc import Iterable

from omnitron.base.errors import NotFound
from omnitron.base.names import suggest
from omnitron.model.ecosystem import DEFAULT_STACK
from omnitron.model.state import Want
from omnitron.store.records import Claim, Desired, Secret
from omnitron.store.store import Store

Key = tuple[str, str]  # stack, app


class DesiredState:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._records: dict[Key, Desired] = {(r.spec.stack, r.spec.app): r for r in store.desired()}

    def stacks(self) -> list[str]:
        return sorted({stack for stack, _ in self._records})

    def of(self, stack: str) -> list[Desired]:
        """All records of the stack, its infrastructure's included, by app."""
        return [record for (s, _), record in sorted(self._records.items()) if s == stack]

    def get(self, stack: str, app: str) -> Desired | None:
        return self._records.get((stack, app))

    def find(self, stack: str, app: str) -> Desired:
        """Raises NotFound with a suggestion."""
        if (found := self.get(stack, app)) is not None:
            return found
        known = [record.spec.app for record in self.of(stack)]
        raise NotFound(
            f"There is no app {app!r} in stack {stack!r}.{suggest(app, known)}",
            remedy=f"Known there: {', '.join(known) or 'none'}. `omnitron up` adds what a definition declares.",
        )

    def choose(self, stack: str | None) -> str:
        """The stack a command means: the given one, the only one, else the default. Raises NotFound."""
        known = self.stacks()
        if stack is None:
            return known[0] if len(known) == 1 else DEFAULT_STACK
        if stack not in known:
            raise NotFound(
                f"There is no stack {stack!r}.{suggest(stack, known)}", remedy=f"Known: {', '.join(known) or 'none'}."
            )
        return stack

    def claims(self) -> list[Claim]:
        return self._store.claims()

    def secrets(self) -> list[Secret]:
        return self._store.secrets()

    def idle(self) -> set[Key]:
        """Apps that are down."""
        return {key for key, record in self._records.items() if record.want is Want.DOWN}

    def save(
        self,
        put: Iterable[Desired] = (),
        forget: Iterable[Key] = (),
        claims: Iterable[Claim] | None = None,
        secrets: Iterable[Secret] = (),
    ) -> None:
        """See Store.save; memory changes only if the disk did."""
        put, forget = tuple(put), tuple(forget)
        self._store.save(put, forget, claims, secrets)
        for key in forget:
            self._records.pop(key, None)
        self._records.update({(r.spec.stack, r.spec.app): r for r in put})
