"""When a process that ended is started again, and when one should stop believing that this helps.

The words are OTP's. `policy` says which ends call for a restart: `always` (permanent: every end), `on_failure`
(transient: every end but exit code 0) and `never` (temporary). `intensity` and `period` bound how many restarts within
how many seconds are taken as bad luck. `strategy` belongs to the app and says what a restart does to the siblings.

Between restarts there is a `backoff`. The first restart of a bad run is immediate, since most crashes are a single bad
input and every millisecond without the replica is felt; the next ones wait 0.1 s, 0.2 s, 0.4 s ... with jitter, so
that replicas that fell together do not come back together.

More restarts than the intensity is where we part from OTP, whose supervisor then ends itself and everything below it.
That is right when the state of the whole may be rotten, and wrong when a database is away for half a minute: with five
fast restarts an app would be gone in two seconds. So beyond the intensity a process is *given up*: no burst any more,
one slow try per `period` (or `backoff.cap`, if longer), in plain sight ("given up until ..."). It stays so until one
try has been running for a whole `period`. A critical process that is still failing `patience` seconds after the run of
failures began escalates: its app is stopped in order. `patience=0` is OTP's own meaning.
"""

from typing import Literal

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.model.fields import Seconds, normalise_seconds

Policy = Literal["always", "on_failure", "never"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]


class Backoff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Wait before the n-th restart: `first`, then `base * factor**(n-2)`, never over `cap`; all in seconds.

    jitter: each wait is shortened by up to this share.
    """

    first: Seconds = 0.0
    base: Seconds = 0.1
    factor: float = 2.0
    cap: Seconds = 30.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        normalise_seconds(self, "first", "base", "cap")
        if self.factor < 1 or not 0 <= self.jitter < 1 or float(self.cap) <= 0:
            raise DefinitionError(
                f"Backoff(factor={self.factor}, jitter={self.jitter}, cap={self.cap}) can not be used.",
                remedy="factor must be at least 1, jitter in [0, 1), cap above 0 (or a dead process is spun on).",
            )

    def delay(self, n: int, u: float) -> float:
        """Seconds before the n-th restart in a row (n from 1); u in [0, 1) is the chance for the jitter."""
        if n <= 1:
            return float(self.first)
        steps = min(n - 2, 64)  # factor**64 is beyond every cap; more could overflow a float
        return min(float(self.base) * self.factor**steps, float(self.cap)) * (1 - self.jitter * u)


class Restart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """intensity: most restarts within `period` seconds. patience: a critical process escalates only after failing
    for this many seconds.
    """

    policy: Policy = "always"
    intensity: int = 5
    period: Seconds = 30.0
    patience: Seconds = 60.0
    backoff: Backoff = Backoff()

    def __post_init__(self) -> None:
        normalise_seconds(self, "period", "patience")
        if self.intensity < 0 or float(self.period) <= 0:
            raise DefinitionError(
                f"Restart(intensity={self.intensity}, period={self.period}) can not be used.",
                remedy="intensity must be at least 0 and period above 0 seconds.",
            )

    def slow_delay(self, u: float) -> float:
        """Seconds until the next try of a process that is given up. Never under `period`, so that the tries after
        giving up keep within the intensity too; jitter only lengthens it.
        """
        return max(float(self.backoff.cap), float(self.period)) * (1 + self.backoff.jitter * u)
