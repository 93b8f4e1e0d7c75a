"""The pool's side: one report per customer. Customer 13 always fails, as one of them always does."""

import asyncio
import hashlib

from omnitron import rpc, service

ROUNDS = 20_000  # of hashing: a few tens of milliseconds of work


@service("report@1.0.0")
class ReportWorker:
    @rpc(idempotent=True, deadline="10s")
    async def build(self, customer: int, day: str) -> str:
        """The checksum of a customer's report of a day."""
        if customer == 13:
            raise ValueError("customer 13 has no ledger")
        return await asyncio.to_thread(_build, f"{customer}:{day}")


def _build(text: str) -> str:
    digest = text.encode()
    for _ in range(ROUNDS):
        digest = hashlib.sha256(digest).digest()
    return digest.hex()[:16]
