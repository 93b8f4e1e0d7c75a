import re

import pytest

from omnitron.base import errors
from omnitron.base.errors import DefinitionError, OmnitronError, error_classes
from omnitron.child.http.problems import problem_of, status_of
from omnitron.child.http.routes import compile_pattern


@pytest.mark.parametrize("cls", [c for c in error_classes().values() if c.__module__ == errors.__name__])
def test_each_error_has_the_status_its_documentation_names(cls: type[OmnitronError]) -> None:
    if match := re.search(r"HTTP (\d{3})", cls.__doc__ or ""):
        assert status_of(cls("x")) == int(match[1])


def test_a_users_subclass_has_its_bases_status() -> None:
    class NotYours(errors.Forbidden):
        code = "not_yours"

    problem, more = problem_of(NotYours("no", details={"id": 7}), dev=False)
    assert (problem.status, problem.code, more) == (403, "not_yours", {"details": {"id": 7}})


def test_what_user_code_raised_is_told_in_dev_only() -> None:
    assert problem_of(ValueError("secret"), dev=True)[0].detail == "ValueError: secret"
    assert "secret" not in problem_of(ValueError("secret"), dev=False)[0].detail


@pytest.mark.parametrize(
    ("pattern", "path", "params"),
    [
        ("/a", "/a", {}),
        ("/a/{x}", "/a/b", {"x": "b"}),
        ("/a/{x}", "/a/b/c", None),
        ("/a/{x:int}.png", "/a/12.png", {"x": "12"}),
        ("/a/{rest:path}", "/a/b/c", {"rest": "b/c"}),
        ("/a/*", "/a/b/c", {"path": "b/c"}),
        ("/a.b", "/acb", None),
    ],
)
def test_patterns_match_as_written(pattern: str, path: str, params: dict[str, str] | None) -> None:
    match = compile_pattern(pattern).fullmatch(path)
    assert (match.groupdict() if match else None) == params


def test_a_kind_of_part_that_is_not_known_is_refused() -> None:
    with pytest.raises(DefinitionError, match="kind 'uuid'"):
        compile_pattern("/{x:uuid}")
