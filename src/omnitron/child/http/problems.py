"""Errors as RFC 9457 problem documents. The status is looked up along the error's class: subclasses inherit it."""

from typing import Any, Final

import msgspec

from omnitron.base import errors
from omnitron.base.errors import OmnitronError, Overloaded

STATUS: Final[dict[type[OmnitronError], int]] = {
    errors.InvalidArguments: 422,
    errors.InvalidResult: 500,
    errors.ServiceNotFound: 404,
    errors.MethodNotFound: 404,
    errors.DeadlineExceeded: 504,
    errors.Cancelled: 499,
    errors.WorkerDied: 502,
    errors.RemoteError: 500,
    errors.Forbidden: 403,
    errors.FrameTooLarge: 413,
    errors.NotExecuted: 503,
    errors.NotFound: 404,
    errors.Refused: 409,
    OmnitronError: 500,
}
TITLES: Final = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 409: "Conflict", 413: "Content Too Large", 422: "Unprocessable Content",
    431: "Request Header Fields Too Large", 499: "Client Closed Request", 500: "Internal Server Error",
    502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip
CONTENT_TYPE: Final = (b"content-type", b"application/problem+json")
_PRIVATE: Final = frozenset({"traceback", "trace"})
_encode: Final = msgspec.json.Encoder(enc_hook=str).encode

Headers = list[tuple[bytes, bytes]]


class Problem(Exception):
    """An answer other than success that is no error of the tree, such as a wrong HTTP method."""

    def __init__(self, status: int, code: str, detail: str, remedy: str = "", headers: Headers | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.remedy = status, code, detail, remedy
        self.headers: Headers = headers or []

    def body(self, **more: Any) -> bytes:
        return _encode(
            {
                "type": f"urn:omnitron:error:{self.code}",
                "title": TITLES.get(self.status, ""),
                "status": self.status,
                "code": self.code,
                "detail": self.detail,
                "remedy": self.remedy,
                **more,
            }
        )

    def raw(self) -> bytes:
        """All of an HTTP/1.1 response after which the connection is closed."""
        body = self.body()
        head = f"HTTP/1.1 {self.status} {TITLES.get(self.status, '')}\r\ncontent-length: {len(body)}\r\n"
        return head.encode() + b"content-type: application/problem+json\r\nconnection: close\r\n\r\n" + body


def status_of(error: OmnitronError) -> int:
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def problem_of(error: BaseException, *, dev: bool) -> tuple[Problem, dict[str, Any]]:
    """The problem and its further members. What user code raised is told only in `dev`: it may hold secrets."""
    if isinstance(error, Problem):
        return error, {}
    if not isinstance(error, OmnitronError):
        detail = f"{type(error).__name__}: {error}" if dev else "The request failed; the log of the process says why."
        return Problem(500, "internal", detail), {}
    details = {k: v for k, v in error.details.items() if k not in _PRIVATE}
    if isinstance(error, errors.RemoteError) and not dev:
        hidden = "A service failed while it answered; its log says why."
        return Problem(status_of(error), error.code, hidden), {}
    headers: Headers = []
    if isinstance(error, Overloaded):
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after_s))))
    problem = Problem(status_of(error), error.code, error.message, error.remedy, headers)
    return problem, {"details": details} if details else {}
