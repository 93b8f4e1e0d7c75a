"""The progress of one request: it belongs to the daemon, not to the client that asked and may leave in the middle."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from omnitron.base.errors import OmnitronError
from omnitron.control.daemon import Progress
from omnitron.model.state import Want

MAX_STEPS: Final = 5_000  # of one operation; further ones are not kept, its end always is


class Operation:
    """Steps so far and whether it has ended; an equal step of the same subject is said once.

    subject: of the final step, such as the stack's name. apps: those it is about. want: of these as a whole, None if it
    is about a part. retry: of these, those whose given up processes are to be tried again, once. waiting: of these,
    those that are not settled yet.
    """

    def __init__(self, subject: str, apps: frozenset[str], *, retry: bool = False, want: Want | None = None) -> None:
        self.subject = subject
        self.want = want
        self.apps = apps
        self.retry = set(apps) if retry else set[str]()
        self.waiting = set(apps)
        self.ended = False
        self.failed = False
        self._steps: list[Progress] = []
        self._last: dict[str, Progress] = {}
        self._news = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Operation {self.subject} {', '.join(sorted(self.apps))} ended={self.ended}>"

    def tell(self, step: Progress) -> None:
        if self.ended or self._last.get(step.subject) == step:
            return
        self.failed = self.failed or step.failed
        self._last[step.subject] = step
        if len(self._steps) < MAX_STEPS:
            self._add(step)

    def end(self, state: str, detail: str = "", *, failed: bool = False) -> None:
        """The last step; what comes later is ignored."""
        if not self.ended:
            self.failed = self.failed or failed
            self.ended = True
            final = Progress(
                subject=self.subject, state=state, detail=detail, done=True, failed=self.failed, final=True
            )  # fmt: skip
            self._add(final)

    def contradicts(self, other: "Operation") -> bool:
        """Whether one wants up what the other wants down."""
        return None not in (self.want, other.want) and self.want != other.want and bool(self.apps & other.apps)

    def settled(self, app: str) -> None:
        """The app is where it should be, or never will be; with the last of its apps the operation ends."""
        self.waiting.discard(app)
        if not self.waiting:
            self.end("failed" if self.failed else "done")

    def fail(self, error: OmnitronError) -> None:
        self.end("failed", str(error), failed=True)

    def _add(self, step: Progress) -> None:
        self._steps.append(step)
        self._news.set()
        self._news = asyncio.Event()

    async def follow(self) -> AsyncIterator[Progress]:
        """All steps, from the first to the final one."""
        index = 0
        while True:
            news = self._news
            while index < len(self._steps):
                yield self._steps[index]
                index += 1
            if self.ended:
                return
            await news.wait()
