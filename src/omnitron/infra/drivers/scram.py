"""SCRAM-SHA-256 verifiers (RFC 5803), so that no statement, and hence no log of Postgres, holds a password."""

import base64
import hashlib
import hmac
import os
from typing import Final

ITERATIONS: Final = 4096  # what Postgres itself uses


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What `ALTER ROLE ... PASSWORD` stores as it is. password: ASCII (others would need SASLprep)."""
    salt = salt or os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${ITERATIONS}:{_b64(salt)}${_b64(stored)}:{_b64(server)}"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
