"""In which order processes start and stop: derived from who needs whom, never written down by hand.

Whoever is needed starts first and stops last, so that at no time something runs whose needs are gone. The result is a
list of layers; what is in one layer may go in parallel. Two kinds of edges differ in one thing: `calls` may form a
cycle, since two services may well call each other, and such a cycle becomes one layer; a declared `depends_on` may
not, because no order can honour it. `priority` only breaks ties: it splits a layer, higher starting earlier and
stopping later, and can never overrule an edge. Apps of a stack are ordered by the same function, over the edges
between apps.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from omnitron.base.errors import DefinitionError

Edges = Mapping[str, Iterable[str]]
Layers = tuple[tuple[str, ...], ...]
T = TypeVar("T", bound=Hashable)


def start_order(
    names: Sequence[str], calls: Edges, depends_on: Edges, priority: Mapping[str, int] | None = None
) -> Layers:
    """Layers in start order; within a layer the order of `names`. Edges from or to what is not in `names` do not count.

    calls, depends_on: who needs -> who is needed. Raises DefinitionError if `depends_on` alone has a cycle.
    """
    declared = {name: {other for other in depends_on.get(name, ()) if other in names} for name in names}
    needs = {name: declared[name] | {other for other in calls.get(name, ()) if other in names} for name in names}
    try:
        _depths(declared)
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise DefinitionError(
            f"The declared dependencies form a cycle: {cycle}. No order of starting can honour it.",
            remedy="Remove one of these `depends_on`; services that call each other need none.",
            details={"cycle": list(reversed(error.args[1]))},
        ) from None
    group = _groups(needs)
    outer = _depths({group[name]: {group[n] for g in group[name] for n in needs[g]} - {group[name]} for name in names})
    inner = _depths({name: declared[name] & group[name] for name in names})
    rank = priority or {}
    key = {name: (outer[group[name]], inner[name], -rank.get(name, 0)) for name in names}
    return tuple(tuple(name for name in names if key[name] == level) for level in sorted(set(key.values())))


def drain_order(layers: Layers) -> Layers:
    """Layers in the order of stopping: the reverse, so that dependents stop first."""
    return tuple(layer[::-1] for layer in reversed(layers))


def first_left(layers: Layers, done: Collection[str]) -> tuple[str, ...]:
    """Who may go now: what is not done of the first layer that is not. Empty when all are done.

    With start layers and what is ready (or not wanted) it says what to start, with drain layers and what is gone what
    to stop; ask again whenever something became ready, or is gone.
    """
    for layer in layers:
        if left := tuple(name for name in layer if name not in done):
            return left
    return ()


def flat(layers: Layers) -> tuple[str, ...]:
    """All names, one after the other."""
    return tuple(name for layer in layers for name in layer)


def _groups(needs: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    """For each name all that need each other in a circle with it, itself included."""
    reach = {name: _reachable(needs, name) for name in needs}
    return {name: frozenset({name} | {n for n in reach[name] if name in reach[n]}) for name in needs}


def _reachable(needs: Mapping[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        new = needs[todo.pop()] - found
        found |= new
        todo.extend(new)
    return found


def _depths(needs: Mapping[T, set[T]]) -> dict[T, int]:
    """Length of the longest chain of needs below each. Raises CycleError."""
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    depths: dict[T, int] = {}
    wave = 0
    while sorter.is_active():
        ready = sorter.get_ready()
        depths.update(dict.fromkeys(ready, wave))
        sorter.done(*ready)
        wave += 1
    return depths
