"""Reading a definition from a command: find it, have it described by a throwaway process, check it."""

import json
import subprocess
import sys
from typing import Final

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.cli.output import echo, echo_json, paint
from omnitron.model.check import check
from omnitron.model.facts import Description
from omnitron.model.finding import Finding

DESCRIBE_TIMEOUT_S: Final = 120.0


def describe(path: str | None) -> Description:
    """The definition at `path` (a file or folder; None: found from here upwards). Raises DefinitionError."""
    command = [sys.executable, "-m", "omnitron.child.describe", *([path] if path else [])]
    try:
        done = subprocess.run(command, capture_output=True, timeout=DESCRIBE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise DefinitionError(
            f"Reading the definition took longer than {DESCRIBE_TIMEOUT_S:.0f} s.",
            remedy="A module it names does work when imported; move that into a function.",
        ) from None
    if done.returncode == 0:
        return msgspec.json.decode(done.stdout, type=Description)
    try:
        error = json.loads(done.stdout)["error"]
    except (ValueError, KeyError):
        raise DefinitionError(
            f"Reading the definition ended with exit code {done.returncode}.",
            remedy="See its output below; it is that of your own code.",
            details={"output": done.stderr.decode(errors="replace")[-4000:]},
        ) from None
    raise DefinitionError(error["message"], remedy=error.get("remedy", ""), details={"trace": error.get("trace", "")})


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
