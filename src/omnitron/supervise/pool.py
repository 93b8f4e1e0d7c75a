"""One process of the app: its replicas, how many there are, and their replacement one by one.

A slot has one holder. While a reload is under way it may also have a successor on trial, and one that is leaving.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from omnitron.base.errors import OperationError, Refused
from omnitron.base.names import ReplicaId
from omnitron.control.keeper import EndpointInfo, ProcessSpec, ServiceEndpoints
from omnitron.model.state import Phase, Reason, Want
from omnitron.supervise import rollout
from omnitron.supervise import slot as e
from omnitron.supervise.house import House
from omnitron.supervise.launching import wants_template
from omnitron.supervise.news import News
from omnitron.supervise.replica import Replica, slot_has_address
from omnitron.supervise.saved import Role
from omnitron.supervise.slot import Rules, Slot, promoted, successor_of
from omnitron.supervise.starting import TRANSPORTS

TERM_S: Final = 5.0  # between SIGTERM and SIGKILL for our own replicas, which have drained by then


class Pool:
    """want: "up" or "down". waiting: for what it is not started yet, in words. count: replicas wanted now."""

    def __init__(self, house: House, spec: ProcessSpec, count: int | None = None) -> None:
        self.spec = spec
        self.want = spec.want
        self.count = spec.count if count is None else count
        self.waiting = ""
        self.verdict = ""
        self.refused_fingerprint = ""
        self.replicas: dict[int, Replica] = {}
        self.successors: dict[int, Replica] = {}
        self.leaving: list[Replica] = []
        self.news = News()
        self._house = house
        self._rollout: rollout.Rollout | None = None
        self._next_spec = spec
        self._finished: asyncio.Future[rollout.Finished] | None = None
        self._broken_off = False  # the reload, by another command

    @property
    def name(self) -> str:
        return self.spec.process.name

    @property
    def reloading(self) -> bool:
        return self._finished is not None

    def all(self) -> list[Replica]:
        """Every replica there is, also successors and those leaving."""
        return [*self.replicas.values(), *self.successors.values(), *self.leaving]

    def rules(self, spec: ProcessSpec) -> Rules:
        process, shutdown = spec.process, self._house.owner.spec.shutdown
        timeout = float(shutdown.timeout)
        ours = slot_has_address(spec)
        return Rules(
            restart=process.restart,
            critical=process.critical,
            startup_timeout=float(process.startup_timeout),
            drain_timeout=timeout if ours and shutdown.drain_connections else 0.0,
            term_timeout=TERM_S if ours else timeout,
        )

    def replica(self, number: int) -> Replica:
        """The holder of the slot, made if there is none."""
        if number not in self.replicas:
            slot = Slot(id=ReplicaId(self._house.owner.spec.app, self.name, number), rules=self.rules(self.spec))
            self.put(Replica(self._house, self.spec, slot, self._stepped))
        return self.replicas[number]

    def restore(self, slot: Slot, role: Role) -> Replica:
        """A replica of an earlier keeper."""
        replica = Replica(self._house, self.spec, replace(slot, rules=self.rules(self.spec)), self._stepped, role)
        self.put(replica)
        return replica

    def put(self, replica: Replica) -> None:
        if replica.role == "holder":
            self.replicas[replica.slot.id.slot] = replica
        else:
            self.leaving.append(replica)

    # -- up and down

    def listen(self, holders: Iterable[int] = ()) -> None:
        """Have the declared TCP sockets. Raises OperationError if a port is taken."""
        for transport in TRANSPORTS:
            declared = getattr(self.spec.process.transports, transport)
            if declared is not None:
                port = self.spec.ports.get(transport, declared.port)
                self._house.listeners.ensure(self.name, transport, declared.host, port, holders)

    def close_listeners(self) -> None:
        for transport in TRANSPORTS:
            self._house.listeners.close(self.name, transport)

    async def start(self, reason: Reason, slot: int | None = None) -> None:
        """Start what is not up, and give what was given up a new chance; makes the template first.

        Returns when the starts are under way.
        """
        self.want = "up"
        self.listen()
        await self.make_template()
        self.waiting = ""
        for number in range(self.count) if slot is None else (slot,):
            if self.want == "up":
                given_up = self.replica(number).slot.phase is Phase.GIVEN_UP
                self.replica(number).post(e.Restart(reason) if given_up else e.Start(reason))

    async def make_template(self) -> None:
        """Have a template, if the process wants one."""
        templates = self._house.templates
        while wants_template(spec := replace(self.spec, count=self.count)) and templates.get(self.name) is None:
            self.waiting = "its template to import the module"
            template = await templates.make(self._house.owner.spec, spec, self._house.logs.of(self.name))
            if spec.fingerprint == self.spec.fingerprint:
                templates.use(self.name, template)
            else:  # the code has changed meanwhile
                template.drop()
            self.waiting = ""

    async def renew_template(self) -> None:
        """If there is a template, have one that has imported the code as it is now."""
        if self._house.templates.get(self.name) is not None and not self.reloading:
            spec = replace(self.spec, count=self.count)
            template = await self._house.templates.make(self._house.owner.spec, spec, self._house.logs.of(self.name))
            self._house.templates.use(self.name, template)

    def stop(self, reason: Reason, *, force: bool = False, slot: int | None = None) -> None:
        """Ask for the end; `down` says when it is reached."""
        if slot is None:
            self.want, self.waiting = "down", ""
            self._break_off(f"stopped: {reason}")
        for replica in self.all():
            if slot in (None, replica.slot.id.slot):
                replica.post(e.Stop(reason, force=force))

    def down(self, slot: int | None = None) -> bool:
        """Whether nothing of it lives, or nothing in that slot."""
        return all(r.slot.phase is Phase.STOPPED for r in self.all() if slot in (None, r.slot.id.slot))

    def restart(self, reason: Reason, slot: int | None, *, forgive: bool = True) -> None:
        for number, replica in self.replicas.items():
            if slot in (None, number):
                replica.post(e.Restart(reason, forgive=forgive))

    async def scale(self, count: int, reason: str) -> None:
        """New slots come up, the highest go."""
        self._break_off(reason)
        self.count = count
        text = Reason("scale", reason)
        for number, replica in self.replicas.items():
            if number >= count:
                replica.post(e.Stop(text))
        if self.want == "up":
            await self.start(text)
        self._house.owner.save()
        self.news.tell()

    @property
    def ready_count(self) -> int:
        return sum(replica.slot.ready for replica in self.replicas.values())

    @property
    def is_ready(self) -> bool:
        """All wanted replicas are."""
        return all(n in self.replicas and self.replicas[n].slot.ready for n in range(self.count))

    def endpoints(self) -> list[ServiceEndpoints]:
        """The services it offers to others, with those replicas that may be called now."""
        process, app = self.spec.process, self._house.owner.spec.app
        if not process.topology.expose or not slot_has_address(self.spec):
            return []
        ready = tuple(
            EndpointInfo(
                str(replica.slot.id), str(self._house.addresses.published_path(self.name, number)),
                replica.slot.incarnation, process.limits.concurrency,
            )
            for number, replica in sorted(self.replicas.items())
            if replica.slot.ready
        )  # fmt: skip
        return [ServiceEndpoints(app, service, class_name, ready) for service, class_name in self.spec.services]

    # -- reload

    async def reload(self, spec: ProcessSpec, slots: tuple[int, ...] | None = None, *, fresh: bool = True) -> str:
        """Replace the replicas (all, or those slots) by ones of `spec`. The verdict; raises Refused.

        fresh: with the code as it is now; False keeps the template.
        """
        if self.reloading:
            raise Refused(f"{self.name} is being reloaded already.", remedy="Wait for it, or stop the process.")
        slots = tuple(n for n, rep in self.replicas.items() if rep.slot.want is Want.UP) if slots is None else slots
        if not slots:
            self.renew(spec)
            return "nothing was running"
        self._finished, self._broken_off = asyncio.get_running_loop().create_future(), False
        try:
            return await self._roll(spec, slots, fresh)
        finally:
            in_place = self._rollout is not None and self._rollout.in_place
            self._finished = self._rollout = None
            for number in slots if in_place and self.want == "up" else ():
                if number in self.replicas and number < self.count:  # none stays down because a rollout was given up
                    self.replicas[number].post(e.Start(Reason("reload", "started by a reload")))
            self.news.tell()

    async def _roll(self, spec: ProcessSpec, slots: tuple[int, ...], fresh: bool) -> str:
        assert self._finished is not None
        templates, template = self._house.templates, None
        if fresh and wants_template(replace(spec, count=self.count)):
            template = await templates.make(self._house.owner.spec, spec, self._house.logs.of(self.name))
        if self.want != "up":
            if template is not None:
                template.drop()
            raise Refused(f"{self.name} was stopped meanwhile.", remedy="Start it.")
        before = templates.swap(self.name, template) if fresh else None
        self._next_spec = spec
        in_place = spec.process.singleton or not slot_has_address(spec)
        self._rollout = rollout.Rollout(todo=slots, in_place=in_place)
        self._advance(rollout.Begin())
        finished = await self._finished
        self.verdict = finished.reason
        back = fresh and not finished.ok and not in_place  # an old replica that crashes is to come back as it was
        dropped = templates.swap(self.name, before) if back else before
        if dropped is not None:
            dropped.drop()
        if not finished.ok and not in_place:
            self.refused_fingerprint = "" if self._broken_off else spec.fingerprint
            raise Refused(
                f"{self.name} was not reloaded: {finished.reason}; the old code serves on.",
                remedy="Correct it and reload again; the log of the process has the details.",
            )
        self.renew(spec)
        if not finished.ok:
            raise OperationError(
                f"{self.name} did not come up: {finished.reason}.", remedy="See the log of the process."
            )
        return finished.reason

    def renew(self, spec: ProcessSpec) -> None:
        """From now on replicas start from this."""
        if spec == self.spec:
            return
        self.spec, self.refused_fingerprint = spec, ""
        for replica in self.replicas.values():
            replica.spec = spec
            replica.slot = replace(replica.slot, rules=self.rules(spec))
        self._house.owner.save()

    def _break_off(self, reason: str) -> None:
        self._broken_off = self.reloading
        self._advance(rollout.Abort(reason))

    def _advance(self, event: rollout.Event) -> None:
        if self._rollout is None:
            return
        self._rollout, actions = rollout.advance(self._rollout, event)
        for action in actions:
            self._act(action)

    def _act(self, action: rollout.Action) -> None:
        in_place = self._rollout is not None and self._rollout.in_place
        reason = Reason("reload", "replaced by a reload")
        match action:
            case rollout.StartNew(n) if in_place and self.want != "up":
                pass  # stopped while its turn had come: a stop outranks a reload
            case rollout.StartNew(n) if in_place:
                self.replicas[n].spec = self._next_spec
                self.replicas[n].post(e.Start(Reason("reload", "started by a reload")))
            case rollout.StartNew(n):
                holder = self.replicas[n]
                holder.slot, slot = successor_of(holder.slot, self.rules(self._next_spec))
                self.successors[n] = Replica(self._house, self._next_spec, slot, self._stepped, "successor")
                self.successors[n].post(e.Start(Reason("reload", "successor in a reload")))
            case rollout.Promote(n):
                self.promote(n)
            case rollout.StopOld(n):
                for old in [self.replicas[n]] if in_place else [x for x in self.leaving if x.slot.id.slot == n]:
                    old.post(e.Stop(reason))
            case rollout.StopNew(n):
                new = self.successors.pop(n)
                new.role = "leaving"
                self.leaving.append(new)
                new.post(e.Stop(Reason("reload", "the reload was given up"), force=True))
            case rollout.Finished() if self._finished is not None and not self._finished.done():
                self._finished.set_result(action)

    def promote(self, number: int) -> None:
        """The successor is the holder from now on."""
        old, new = self.replicas[number], self.successors.pop(number)
        new.slot = promoted(old.slot, new.slot)
        new.role, old.role = "holder", "leaving"
        self.replicas[number] = new
        self.leaving.append(old)
        self._house.owner.save()

    def _stepped(self, replica: Replica) -> None:
        """A replica has taken a step: what does it mean for the reload, and is it over?"""
        number, slot = replica.slot.id.slot, replica.slot
        over = slot.phase is Phase.STOPPED and slot.incarnation > 0
        if replica in self.leaving and over:
            self.leaving.remove(replica)
            self._drop(replica)
            self._advance(rollout.OldGone(number))
        elif self.successors.get(number) is replica:
            if slot.ready:
                self._advance(rollout.NewReady(number))
            elif over:
                self._advance(rollout.NewFailed(number, slot.reason.text))
                self._drop(self.successors.pop(number, replica))
        elif self._rollout is not None and self._rollout.in_place:
            self._stepped_in_place(number, slot)
        if over and number >= self.count and self.replicas.get(number) is replica:
            del self.replicas[number]
            self._drop(replica)
        self._house.owner.stepped()
        self.news.tell()

    def _drop(self, replica: Replica) -> None:
        replica.close()
        self._house.owner.note(replica.key, None)

    def _stepped_in_place(self, number: int, slot: Slot) -> None:
        if slot.phase is Phase.STOPPED:
            self._advance(rollout.OldGone(number))
        elif slot.ready:
            self._advance(rollout.NewReady(number))
        elif slot.phase in (Phase.BACKOFF, Phase.GIVEN_UP):
            self._advance(rollout.NewFailed(number, slot.reason.text))
