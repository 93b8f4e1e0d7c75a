import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnitron.base.errors import DefinitionError
from omnitron.supervise.order import drain_order, first_left, flat, start_order


def test_what_is_needed_starts_first_and_independent_ones_in_parallel():
    layers = start_order(["http", "pool", "db", "cron"], {"http": ["pool"]}, {"pool": ["db"]})
    assert layers == (("db", "cron"), ("pool",), ("http",))
    assert flat(layers) == ("db", "cron", "pool", "http")


def test_dependents_stop_first():
    assert drain_order((("db", "cron"), ("pool",), ("http",))) == (("http",), ("pool",), ("cron", "db"))


def test_services_that_call_each_other_are_one_layer_and_come_before_their_callers():
    layers = start_order(["c", "b", "a", "d"], {"c": ["a"], "a": ["b"], "b": ["a", "d"]}, {})
    assert layers == (("d",), ("b", "a"), ("c",))


def test_a_declared_dependency_holds_even_inside_a_circle_of_calls():
    layers = start_order(["a", "b", "c"], {"a": ["b"], "c": ["a"]}, {"b": ["a"]})
    assert layers == (("a",), ("b",), ("c",))


def test_a_declared_cycle_is_refused_and_named_in_the_direction_of_the_dependency():
    with pytest.raises(DefinitionError, match=r"x -> y -> z -> x|y -> z -> x -> y|z -> x -> y -> z") as caught:
        start_order(["x", "y", "z"], {}, {"x": ["y"], "y": ["z"], "z": ["x"]})
    assert set(caught.value.details["cycle"]) == {"x", "y", "z"}
    with pytest.raises(DefinitionError, match="x -> x"):
        start_order(["x"], {}, {"x": ["x"]})


def test_calling_oneself_is_no_dependency():
    assert start_order(["a"], {"a": ["a"]}, {}) == (("a",),)


def test_priority_breaks_ties_and_never_overrules_an_edge():
    assert start_order(["a", "b", "c"], {}, {}, {"c": 5}) == (("c",), ("a", "b"))
    assert start_order(["a", "b"], {"a": ["b"]}, {}, {"a": 99}) == (("b",), ("a",))


def test_edges_to_what_is_not_there_do_not_count():
    assert start_order(["a"], {"a": ["gone"]}, {"a": ["gone"], "gone": ["a"]}) == (("a",),)


def test_first_left_is_the_first_layer_with_someone_to_go():
    layers = (("a", "b"), ("c",))
    assert first_left(layers, set()) == ("a", "b")
    assert first_left(layers, {"a"}) == ("b",)
    assert first_left(layers, {"a", "c"}) == ("b",)
    assert first_left(layers, {"a", "b"}) == ("c",)
    assert first_left(layers, {"a", "b", "c"}) == ()


NODES = [f"n{i}" for i in range(7)]
EDGES = st.dictionaries(st.sampled_from(NODES), st.lists(st.sampled_from(NODES), max_size=3))


@given(calls=EDGES, depends_on=EDGES)
def test_any_graph_is_ordered_by_its_edges_or_refused_for_a_declared_cycle(calls, depends_on):
    def reaches(edges, start, goal):
        seen, todo = set(), [start]
        while todo:
            for nxt in edges.get(todo.pop(), ()):
                if nxt == goal:
                    return True
                if nxt not in seen:
                    seen.add(nxt)
                    todo.append(nxt)
        return False

    cyclic = any(reaches(depends_on, node, node) for node in NODES)
    try:
        layers = start_order(NODES, calls, depends_on)
    except DefinitionError:
        assert cyclic
        return
    assert not cyclic and sorted(flat(layers)) == NODES
    depth = {node: index for index, layer in enumerate(layers) for node in layer}
    both = {node: [*calls.get(node, ()), *depends_on.get(node, ())] for node in NODES}
    for node in NODES:
        assert all(depth[other] < depth[node] for other in depends_on.get(node, ()))
        for other in calls.get(node, ()):
            assert depth[other] < depth[node] or reaches(both, other, node)
