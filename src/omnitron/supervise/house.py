"""What the replicas of one keeper share: the doors, the folders, the app as it is wanted, and whom to tell."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from omnitron.base.clock import Clock
from omnitron.base.names import ReplicaId
from omnitron.base.rand import Rand
from omnitron.base.tasks import TaskSet
from omnitron.control.keeper import AppSpec, ServiceEndpoints
from omnitron.model.state import Reason
from omnitron.supervise.journal import Journal
from omnitron.supervise.listen import Listeners
from omnitron.supervise.news import News
from omnitron.supervise.output import Logs
from omnitron.supervise.publish import Addresses
from omnitron.supervise.saved import SavedReplica
from omnitron.supervise.spawn import Spawner
from omnitron.supervise.template import Templates


class Owner(Protocol):
    """The app, as its replicas see it."""

    spec: AppSpec
    news: News

    def new_key(self) -> int:
        """For the next replica's owner."""

    def note(self, key: int, replica: SavedReplica | None) -> None:
        """Write down a replica's state (None: it is no more); returns when that is safe against the keeper's death."""

    def save(self) -> None:
        """Write down everything, since what is wanted has changed."""

    def stepped(self) -> None:
        """A replica took a step: addresses may have changed."""

    def restarted(self, replica: ReplicaId, reason: Reason) -> None:
        """A replica failed and will be started again: the siblings may have to follow."""

    def holds(self, process: str) -> bool:
        """Whether a replica of it that is to be started has to wait, since siblings are being restarted with it."""

    def escalate(self, process: str, reason: Reason) -> None:
        """A critical process can not be kept up."""

    def died(self, replica: ReplicaId, incarnation: int, reason: str) -> None:
        """Tell those who may be calling it."""

    def needed_by(self, process: str) -> list[ServiceEndpoints]:
        """Endpoints of the services a process calls."""


@dataclass(slots=True)
class House:
    """home: OMNITRON_HOME, handed on to replicas. run: the app's folder of sockets and pipes."""

    home: Path
    run: Path
    clock: Clock
    rand: Rand
    spawner: Spawner
    journal: Journal
    logs: Logs
    addresses: Addresses
    listeners: Listeners
    templates: Templates
    tasks: TaskSet
    owner: Owner
