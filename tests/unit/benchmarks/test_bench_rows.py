"""What a table of benchmarks says about a figure."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.__main__ import CASES, read, write
from benchmarks.harness import report
from benchmarks.harness.row import Group, Row


def group(*rows: Row, failed: str = "") -> Group:
    return Group(name="rpc", title="Calls", rows=rows, failed=failed, load_before=3.2)


def rate(value: float) -> Row:
    return Row(
        name="r", value=value, unit="/s", better="higher", limit=45, peer="floor", peer_value=100, ratio_limit=0.6
    )


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row(name="t", value=50, unit="ms"), None),
        (Row(name="t", value=50, unit="ms", limit=60), True),
        (Row(name="t", value=61, unit="ms", limit=60), False),
        (Row(name="r", value=44, unit="/s", better="higher", limit=45), False),
        (rate(50), False),
        (rate(60), True),
        (Row(name="lost", value=1, unit="requests", limit=0), False),
    ],
)
def test_a_target_is_met_only_if_the_figure_and_its_ratio_are_within_their_bounds(row: Row, met: bool | None) -> None:
    assert row.met is met


def test_twice_as_good_is_two_whether_less_or_more_is_better() -> None:
    assert Row(name="t", value=5, unit="ms", peer="x", peer_value=10).factor == 2
    assert Row(name="r", value=10, unit="/s", better="higher", peer="x", peer_value=5).factor == 2


def test_what_was_missed_and_what_failed_is_said_first() -> None:
    missed = group(Row(name="p50", value=9, unit="ms", limit=5), Row(name="p99", value=9, unit="ms", limit=50))
    text = report.verdict([missed, msgspec.structs.replace(group(failed="exit code 1"), name="pool")])
    assert text == "1 of 2 targets met. Not met: rpc: p50 (9.00 ms; wanted ≤ 5.00 ms). Failed, so not measured: pool."


def test_a_table_shows_the_load_it_was_taken_under() -> None:
    text = report.table(group(Row(name="p50", value=9, unit="ms", limit=5)), None)
    assert "load average 3.2 before" in text
    assert "**not met**" in text


def test_a_failed_group_has_its_output_in_place_of_a_table() -> None:
    text = report.table(group(failed="exit code 1\nTraceback"), None)
    assert "Traceback" in text and report.HEAD not in text


def test_results_are_kept_for_groups_that_are_not_measured_again(tmp_path: Path) -> None:
    write(tmp_path, {"rpc": group(Row(name="p50", value=9, unit="ms"))})
    found = read(tmp_path)
    found["http"] = msgspec.structs.replace(group(), name="http")
    assert [g.name for g in write(tmp_path, found)] == ["rpc", "http"]
    assert read(tmp_path)["rpc"].rows[0].value == 9


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_into(document, [group(Row(name="p50", value=9, unit="ms"))])
    text = document.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert "old" not in text and "9.00 ms" in text


def test_each_case_has_a_module() -> None:
    folder = Path(__file__).parents[3] / "benchmarks" / "cases"
    assert {path.stem for path in folder.glob("[a-z]*.py")} == set(CASES)
