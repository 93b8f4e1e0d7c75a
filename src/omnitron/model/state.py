"""The one vocabulary of a replica's life, used by keeper, daemon, CLI and events alike.

    want     what is asked of it: up or down
    phase    where it is on the way
    ready    whether it may be called; only ever true in phase running
    reason   why it is where it is, in words that carry the values

`want` and `phase` never share a word, so `want=down phase=draining` reads as what it is: on the way.
"""

from enum import StrEnum
from signal import Signals

import msgspec


class Want(StrEnum):
    UP = "up"
    DOWN = "down"


class Phase(StrEnum):
    STOPPED = "stopped"  # nothing runs and nothing is asked
    STARTING = "starting"  # being spawned, or booting: not ready for the first time yet
    RUNNING = "running"  # booted; `ready` says whether it may be called
    DRAINING = "draining"  # takes no new work, finishes what it has
    STOPPING = "stopping"  # told to end, or dead with its process group not yet empty
    BACKOFF = "backoff"  # failed; will be started again soon
    GIVEN_UP = "given_up"  # failed more often than the intensity allows; tried again slowly

    @property
    def alive(self) -> bool:
        """Whether there may be a process in this phase."""
        return self in (Phase.STARTING, Phase.RUNNING, Phase.DRAINING, Phase.STOPPING)


class ExitStatus(msgspec.Struct, frozen=True):
    """How a process ended. Neither code nor signal: nobody could wait for it (it was adopted, not our child)."""

    code: int | None = None
    signal: int | None = None

    @property
    def known(self) -> bool:
        return self.code is not None or self.signal is not None

    @property
    def success(self) -> bool:
        """Exit code 0; an unknown status is no success."""
        return self.code == 0

    def __str__(self) -> str:
        if self.signal is not None:
            return f"killed by {signal_name(self.signal)}"
        return f"exit code {self.code}" if self.code is not None else "exit status unknown (adopted)"

    @staticmethod
    def of(returncode: int | None) -> "ExitStatus":
        """From the convention of `subprocess` and `os.waitstatus_to_exitcode`: negative means a signal."""
        if returncode is None:
            return ExitStatus()
        return ExitStatus(signal=-returncode) if returncode < 0 else ExitStatus(code=returncode)


class Reason(msgspec.Struct, frozen=True):
    """code: stable, for machines and the kind of event ("ready", "exited", "backoff"). text: for people."""

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


def signal_name(number: int) -> str:
    """ "SIGKILL" for 9; "signal 62" for a number without a name here."""
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"
