"""What is sent: the small object and the 64 KiB of the comparison table."""

import os

import msgspec


class User(msgspec.Struct):
    id: int
    name: str
    email: str
    active: bool
    score: float
    tags: list[str]
    parent: int | None


SMALL = {
    "id": 123456, "name": "user-0123456", "email": "user@example.org",
    "active": True, "score": 0.25, "tags": ["alpha", "beta"], "parent": None,
}  # fmt: skip
LARGE = os.urandom(65536)
