"""Units, names, errors and paths."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnitron.base.errors import (
    DefinitionError,
    NotFound,
    OmnitronError,
    OperationError,
    Overloaded,
    WorkerDied,
    error_classes,
)
from omnitron.base.home import MAX_SOCKET_PATH, Home, make_private, still_there, write_atomic
from omnitron.base.names import ReplicaId, Target, check_name, suggest
from omnitron.base.units import seconds, show_seconds, show_size, size


@pytest.mark.parametrize(
    ("text", "value"),
    [("15s", 15), ("500ms", 0.5), ("1h30m", 5400), ("2d", 172800), (7, 7), (1.5, 1.5), (timedelta(minutes=1), 60)],
)
def test_durations_are_read_as_people_write_them(text: str | float | timedelta, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    "text", ["", "90", "s", "15 parsecs", "-1s", -1, "1h-3m", "1h 3", float("nan"), float("inf"), True, None]
)
def test_what_is_no_duration_is_refused_with_a_remedy(text: object) -> None:
    with pytest.raises(DefinitionError):
        seconds(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"), [("64KiB", 65536), ("10GiB", 10 * 2**30), ("1.5MB", 1_500_000), (12, 12), ("12", 12), ("7 b", 7)]
)
def test_sizes_are_read_as_people_write_them(text: str | int, value: int) -> None:
    assert size(text) == value


@pytest.mark.parametrize("text", ["", "KiB", "1XiB", -5, 1.5, True])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(DefinitionError):
        size(text)  # type: ignore[arg-type]


@given(st.text(max_size=30))
def test_no_text_makes_the_readers_raise_anything_else(text: str) -> None:
    for read in (seconds, size):
        try:
            assert read(text) >= 0
        except DefinitionError:
            continue


def test_durations_and_sizes_are_shown_short() -> None:
    assert [show_seconds(s) for s in (0.35, 12, 185, 7800, 356400)] == ["350ms", "12s", "3m 05s", "2h 10m", "4d 03h"]
    assert [show_size(b) for b in (512, 1536, 200 * 2**20)] == ["512B", "1.5KiB", "200MiB"]


def test_names_are_lower_case_words() -> None:
    assert check_name("ohlcv-aggregator", "process") == "ohlcv-aggregator"
    for bad in ("Http", "a_b", "-a", "a-", "1a", "", "a" * 41, "a/b"):
        with pytest.raises(DefinitionError):
            check_name(bad, "process")


def test_a_target_names_an_app_a_process_or_a_replica() -> None:
    replica = ReplicaId("market", "http", 0)
    assert str(Target.parse("market/http/0")) == "market/http/0"
    assert all(Target.parse(text).covers(replica) for text in ("market", "market/http", "market/http/0"))
    assert not any(Target.parse(text).covers(replica) for text in ("other", "market/pool", "market/http/1"))
    assert ReplicaId.parse("market/http/0") == replica
    for bad in ("", "a//b", "a/b/c", "a/b/0/1"):
        with pytest.raises(NotFound):
            Target.parse(bad)
    with pytest.raises(NotFound):
        ReplicaId.parse("market/http")


def test_a_near_name_is_suggested_and_a_far_one_is_not() -> None:
    assert suggest("ImageTransfromWorker", ["ImageTransformWorker", "x"]) == " Did you mean 'ImageTransformWorker'?"
    assert suggest("zzz", ["abc"]) == ""


def test_errors_carry_code_remedy_and_values_and_are_found_by_code() -> None:
    error = WorkerDied("It died.", remedy="Try again.", details={"reason": "SIGKILL"})
    assert str(error) == "It died. Try again." and error.details["reason"] == "SIGKILL"
    assert error_classes()["worker_died"] is WorkerDied
    codes = [cls.code for cls in _all_errors(OmnitronError)]
    assert len(codes) == len(set(codes))
    assert Overloaded("x", details={"retry_after_s": 0.5}).retry_after_s == 0.5


def _all_errors(root: type[OmnitronError]) -> list[type[OmnitronError]]:
    own = [c for c in root.__subclasses__() if c.__module__ == "omnitron.base.errors"]
    return [root, *(e for c in own for e in _all_errors(c))]


@given(st.integers(0, 150), st.sampled_from(["a", "a" * 40]))
def test_socket_paths_fit_whatever_the_home_is_called(depth: int, name: str) -> None:
    home = Home("/" + "h" * depth)
    longest = home.run_dir(name, name) / "i" / f"{name}.999.9999999"
    assert len(str(longest)) <= MAX_SOCKET_PATH
    assert len(str(home.daemon_socket)) <= MAX_SOCKET_PATH
    assert len(str(home.keeper_socket(name, name))) <= MAX_SOCKET_PATH


def test_homes_do_not_share_their_short_folders() -> None:
    long = "/" + "h" * 120
    assert Home(long + "1").run_dir("dev", "a") != Home(long + "2").run_dir("dev", "a")


def test_a_private_folder_is_ours_alone_or_an_error(tmp_path: Path) -> None:
    made = make_private(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationError, match="can not be made"):
        make_private(tmp_path / "file" / "b")


def test_an_atomic_write_replaces_the_whole_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_atomic(path, b"one" * 1000)
    write_atomic(path, b"two", durable=True)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_output_that_has_become_too_long_is_put_aside_and_nothing_of_it_lost(tmp_path: Path) -> None:
    log = tmp_path / "own.log"
    program = (
        "import sys; from pathlib import Path; from omnitron.base.log import rotate_output\n"
        "for n in range(5):\n  print(n, file=sys.stderr, flush=True); rotate_output(Path(sys.argv[1]), 2, 2)\n"
    )
    with log.open("ab") as output:
        subprocess.run([sys.executable, "-c", program, str(log)], stdout=output, stderr=output, check=True)
    kept = [path.read_text().split() for path in (log, tmp_path / "own.log.1", tmp_path / "own.log.2")]
    assert kept == [["4"], ["2", "3"], ["0", "1"]]


def test_a_lock_file_that_was_replaced_is_not_ours_any_more(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as held:
        assert still_there(held.fileno(), path)
        path.unlink()
        assert not still_there(held.fileno(), path)
        path.touch()
        assert not still_there(held.fileno(), path)
