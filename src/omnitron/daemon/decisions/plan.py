"""What `up` would change, and why: new specs against the present ones and what is observed."""

from collections.abc import Mapping

import msgspec

from omnitron.control.daemon import Change
from omnitron.control.keeper import AppSpec, AppStatus, ProcessSpec
from omnitron.daemon.decisions.fingerprint import code_part, replica_definition


def plan_app(new: AppSpec, old: AppSpec | None, observed: AppStatus | None) -> list[Change]:
    """One line per process, the app's own first. old: None if the app is new or down."""
    if old is None:
        return [Change(action="create", subject=f"{new.app}/{p.process.name}", reason=_size(p)) for p in new.processes]
    before = {p.process.name: p for p in old.processes}
    states = {p.name: p.state for p in observed.processes} if observed else {}
    changes = _app_changes(new, old)
    changes += [_process(new.app, p, before.get(p.process.name), states.get(p.process.name, "")) for p in new.processes]
    names = {p.process.name for p in new.processes}
    changes += [
        Change(action="remove", subject=f"{new.app}/{name}", reason="no longer declared")
        for name in before
        if name not in names
    ]
    return changes


def nothing_to_do(changes: list[Change]) -> bool:
    return all(change.action == "keep" for change in changes)


def _size(spec: ProcessSpec) -> str:
    return f"{spec.count} replicas" if spec.count > 1 else "new"


def _app_changes(new: AppSpec, old: AppSpec) -> list[Change]:
    moved = [
        f"{name} {getattr(old, name)} -> {getattr(new, name)}"
        for name in ("version", "cwd", "python", "strategy", "log_dir", "dev")
        if getattr(new, name) != getattr(old, name)
    ]
    if new.shutdown != old.shutdown:
        moved.append("shutdown changed")
    return [Change(action="update", subject=new.app, reason=", ".join(moved))] if moved else []


def _process(app: str, new: ProcessSpec, old: ProcessSpec | None, state: str) -> Change:
    subject = f"{app}/{new.process.name}"
    if old is None:
        return Change(action="create", subject=subject, reason=_size(new))
    if new.fingerprint != old.fingerprint:
        return Change(action="reload", subject=subject, reason="; ".join(_why_reload(new, old)))
    if (reasons := _why_update(new, old)) != []:
        return Change(action="update", subject=subject, reason="; ".join(reasons))
    if state == "failed":
        return Change(action="restart", subject=subject, reason="it had failed")
    scaled = new.count != new.process.instances
    note = f"scaled to {new.count}, the definition says {new.process.instances}" if scaled else ""
    return Change(action="keep", subject=subject, reason=note)


def _why_reload(new: ProcessSpec, old: ProcessSpec) -> list[str]:
    reasons = []
    if fields := _differing(replica_definition(new.process), replica_definition(old.process)):
        reasons.append(f"definition changed: {', '.join(fields)}")
    if names := [name for name in _differing(new.env, old.env) if name not in new.process.env]:
        reasons.append(f"environment changed: {', '.join(names)}")
    if new.ports != old.ports:
        reasons += [f"{k} port {old.ports.get(k, '-')} -> {p}" for k, p in new.ports.items() if old.ports.get(k) != p]
    if code_part(new.fingerprint) != code_part(old.fingerprint):
        reasons.append("code changed")
    return reasons or ["fingerprint changed"]


def _why_update(new: ProcessSpec, old: ProcessSpec) -> list[str]:
    reasons = []
    if new.count != old.count:
        reasons.append(f"replicas {old.count} -> {new.count}")
    if new.want != old.want:
        reasons.append(f"want {old.want} -> {new.want}")
    if fields := _differing(msgspec.to_builtins(new.process), msgspec.to_builtins(old.process)):
        reasons.append(f"definition changed: {', '.join(fields)}")
    if (new.services, new.calls, new.after) != (old.services, old.calls, old.after):
        reasons.append("services or needs changed")
    return reasons


def _differing(new: Mapping[str, object], old: Mapping[str, object]) -> list[str]:
    return [name for name in sorted({*new, *old}) if new.get(name) != old.get(name)]
