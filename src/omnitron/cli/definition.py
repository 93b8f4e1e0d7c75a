"""Reading a definition from a command: find it, have it described by a throwaway process, check it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import Final

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.cli.output import echo, echo_json, paint
from omnitron.model.check import check
from omnitron.model.facts import Description
from omnitron.model.finding import Finding
from omnitron.model.state import ExitStatus

DESCRIBE_TIMEOUT_S: Final = 90.0  # more than describe itself allows for the imports
MAX_TRACE: Final = 4000  # bytes shown of what the definition printed before it ended


def describe(path: str | None) -> Description:
    """The definition at `path` (a file or folder; None: found from here upwards). Raises DefinitionError."""
    command = [sys.executable, "-m", "omnitron.child.describe", *([path] if path else [])]
    code, answer, printed = _run(command)
    if code == 0:
        return msgspec.json.decode(answer, type=Description)
    try:
        error = json.loads(answer)["error"]
    except (ValueError, KeyError):
        raise DefinitionError(
            f"Reading the definition ended with {ExitStatus.of(code)}.",
            remedy="See its output below; it is that of your own code.",
            details={"output": printed},
        ) from None
    raise DefinitionError(error["message"], remedy=error.get("remedy", ""), details={"trace": error.get("trace", "")})


def _run(command: list[str]) -> tuple[int, bytes, str]:
    """Exit code, standard output and the end of standard error. Whatever user code leaves running is ended with it."""
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=answer, stderr=printed, start_new_session=True
        )
        try:
            code = process.wait(DESCRIBE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise DefinitionError(
                f"Reading the definition took longer than {DESCRIBE_TIMEOUT_S:.0f} s.",
                remedy="It waits or loops when it is run; move that into a function.",
            ) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        answer.seek(0)
        printed.seek(max(0, os.fstat(printed.fileno()).st_size - MAX_TRACE))
        return code, answer.read(), printed.read().decode(errors="replace")


def checked(path: str | None) -> tuple[Description, tuple[Finding, ...]]:
    """The description and what the check found in it."""
    description = describe(path)
    return description, check(description)


def show_findings(findings: tuple[Finding, ...], as_json: bool) -> None:
    """One message a finding, with its remedy."""
    if as_json:
        echo_json({"ok": not any(f.level == "error" for f in findings), "findings": findings})
        return
    for finding in findings:
        colour = "red" if finding.level == "error" else "yellow"
        echo(f"{paint(finding.level, colour, bold=True)} [{finding.code}] {finding.subject}: {finding.message}")
        if finding.remedy:
            echo(f"  fix: {finding.remedy}")


def refuse_errors(findings: tuple[Finding, ...], as_json: bool) -> bool:
    """Show the findings if there is an error among them; whether there is."""
    broken = any(finding.level == "error" for finding in findings)
    if broken:
        show_findings(findings, as_json)
    elif findings and not as_json:
        show_findings(findings, as_json=False)
    return broken
