"""Log files: rotation loses and tears nothing, reading finds it all again."""

import gzip
import os
import resource
from pathlib import Path

import pytest

from omnitron.base.errors import OperationError
from omnitron.logs.query import Matcher, Query
from omnitron.logs.read import Follower, log_path, logged_processes, tail
from omnitron.logs.record import Encoder, Record, Source
from omnitron.logs.write import LogWriter


class Printer:
    """Writes numbered lines as a process would."""

    def __init__(self, folder: Path, process: str = "p", **writer: int) -> None:
        self.path = log_path(folder, process)
        self.writer = LogWriter(self.path, **writer)
        self.encoder = Encoder(Source("a", process, 0, 1, "stdout"))

    def print(self, *lines: str, now: float = 1.0) -> None:
        for line in lines:
            self.writer.write(self.encoder.feed(line.encode() + b"\n", now))

    def settle(self) -> None:
        """Until the compression under way is done."""
        while self.writer.compressing:
            os.sched_yield()


def messages(records: list[Record]) -> list[str]:
    return [record.msg for record in records]


def test_rotation_loses_nothing_and_keeps_the_order(tmp_path: Path) -> None:
    printer = Printer(tmp_path, max_bytes=2000, keep=100)
    lines = [f"line {n}" for n in range(500)]
    for start in range(0, 500, 10):
        printer.print(*lines[start : start + 10])
        printer.settle()
    printer.writer.close()
    assert len(list(tmp_path.glob("*.gz"))) > 3
    assert messages(tail(tmp_path, ["p"], 1000)) == lines


def test_only_so_many_old_files_are_kept(tmp_path: Path) -> None:
    printer = Printer(tmp_path, max_bytes=500, keep=2)
    for n in range(100):
        printer.print(f"line {n}")
        printer.settle()
    printer.writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.jsonl", "p.jsonl.1.gz", "p.jsonl.2.gz"]


def test_a_crash_before_the_compression_is_put_right_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl.1").write_bytes(b'{"time":1,"level":"info","msg":"old"}\n')
    (tmp_path / "p.jsonl.1.gz.partial").write_bytes(b"half")
    LogWriter(tmp_path / "p.jsonl").close()
    assert not (tmp_path / "p.jsonl.1").exists() and not (tmp_path / "p.jsonl.1.gz.partial").exists()
    assert messages(tail(tmp_path, ["p"], 10)) == ["old"]


def test_a_crash_after_the_compression_does_not_double_records(tmp_path: Path) -> None:
    line = b'{"time":1,"level":"info","msg":"old"}\n'
    (tmp_path / "p.jsonl.1").write_bytes(line)
    (tmp_path / "p.jsonl.1.gz").write_bytes(gzip.compress(line))
    assert messages(tail(tmp_path, ["p"], 10)) == ["old"]
    LogWriter(tmp_path / "p.jsonl").close()
    assert messages(tail(tmp_path, ["p"], 10)) == ["old"]


def test_half_a_record_left_by_a_crash_is_cut_off(tmp_path: Path) -> None:
    printer = Printer(tmp_path)
    printer.print("whole")
    printer.writer.close()
    with printer.path.open("ab") as file:
        file.write(b'{"time":1,"lev')
    again = Printer(tmp_path)
    again.print("next")
    again.writer.close()
    assert messages(tail(tmp_path, ["p"], 10)) == ["whole", "next"]


def test_a_full_disk_is_counted_not_raised_and_leaves_no_half_record(tmp_path: Path) -> None:
    printer = Printer(tmp_path)
    printer.print("before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (printer.path.stat().st_size + 20, before[1]))
    try:
        printer.print("lost")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert printer.writer.lost > 0 and "can not be written" in printer.writer.trouble
    printer.print("after")
    assert (printer.writer.lost, printer.writer.trouble) == (0, "")
    printer.writer.close()
    assert messages(tail(tmp_path, ["p"], 10)) == ["before", "after"]


def test_the_last_records_of_several_processes_are_merged_by_time(tmp_path: Path) -> None:
    one, two = Printer(tmp_path, "one"), Printer(tmp_path, "two")
    for n in range(6):
        (one if n % 2 else two).print(f"{n}", now=float(n))
    for printer in (one, two):
        printer.writer.close()
    assert logged_processes(tmp_path) == ["one", "two"]
    assert messages(tail(tmp_path, ["one", "two"], 3)) == ["3", "4", "5"]


def test_a_follower_sees_what_is_appended_and_goes_on_over_a_rotation(tmp_path: Path) -> None:
    printer = Printer(tmp_path, max_bytes=1000)
    printer.print("earlier")
    follower = Follower(tmp_path, ["p"])
    seen: list[str] = []
    for n in range(60):
        printer.print(f"{n}")
        if n % 4 == 0:
            seen += messages(follower.poll())
        printer.settle()
    seen += messages(follower.poll())
    follower.close()
    printer.writer.close()
    assert seen == [str(n) for n in range(60)]


def test_a_follower_waits_for_a_file_that_does_not_exist_yet(tmp_path: Path) -> None:
    follower = Follower(tmp_path, ["p"])
    assert follower.poll() == []
    printer = Printer(tmp_path)
    printer.print("first")
    assert messages(follower.poll()) == ["first"]
    follower.close()
    printer.writer.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), True),
        (Query(level="warning"), True),
        (Query(level="error"), False),
        (Query(pattern="BTC"), True),
        (Query(pattern="^lag"), True),
        (Query(pattern="nothing"), False),
        (Query(processes=("http",)), True),
        (Query(processes=("other",)), False),
        (Query(slots=(1,)), False),
        (Query(since=10.0), True),
        (Query(since=10.1), False),
        (Query(until=10.0), False),
    ],
)
def test_a_query_takes_what_fits_all_its_parts(query: Query, expected: bool) -> None:
    record = Record(time=10.0, level="warning", msg="lag of 5", process="http", fields={"symbol": "BTC"})
    assert Matcher(query).matches(record) is expected


def test_a_level_or_pattern_that_is_none_is_explained() -> None:
    with pytest.raises(OperationError, match="not a level"):
        Matcher(Query(level="loud"))
    with pytest.raises(OperationError, match="not a regular expression"):
        Matcher(Query(pattern="("))
