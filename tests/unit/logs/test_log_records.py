"""Lines of output become records, whatever they are."""

import json

import pytest

from omnitron.logs.record import CUT_MARK, Encoder, Record, Source, read_record

SOURCE = Source("market", "http", 0, 7, "stdout")


def decode(data: bytes) -> list[Record]:
    return [read_record(line) for line in data.splitlines()]


def test_a_plain_line_becomes_the_message() -> None:
    (record,) = decode(Encoder(SOURCE).feed(b"hello\n", 1.5))
    assert record == Record(time=1.5, level="info", msg="hello", app="market", process="http", pid=7, stream="stdout")
    assert record.replica == "market/http/0"


def test_a_line_in_two_pieces_is_one_record() -> None:
    encoder = Encoder(SOURCE)
    assert encoder.feed(b"hel", 1) == b""
    assert [r.msg for r in decode(encoder.feed(b"lo\nwor", 1))] == ["hello"]
    assert [r.msg for r in decode(encoder.finish(1))] == ["wor"]


@pytest.mark.parametrize("line", ['say "hi"', "back\\slash", "tab\there", "äöü 漢字", "\x1b[31mred\x1b[0m", ""])
def test_every_character_survives(line: str) -> None:
    (record,) = decode(Encoder(SOURCE).feed(line.encode() + b"\n", 1))
    assert record.msg == line


def test_bytes_that_are_no_text_are_replaced_not_lost() -> None:
    (record,) = decode(Encoder(SOURCE).feed(b"a\xffb\n", 1))
    assert record.msg == "a\ufffdb"


def test_our_own_log_lines_keep_time_level_and_fields() -> None:
    line = b'{"time":5.0,"level":"error","logger":"x","msg":"broke","symbol":"BTC","exception":"Trace\\nback"}\n'
    (record,) = decode(Encoder(SOURCE).feed(line, 9))
    assert (record.time, record.level, record.msg, record.logger) == (5.0, "error", "broke", "x")
    assert record.fields == {"symbol": "BTC", "exception": "Trace\nback"}
    assert record.process == "http"


def test_the_identity_in_a_record_is_the_keepers_word() -> None:
    (record,) = decode(Encoder(SOURCE).feed(b'{"time":5,"level":"info","msg":"m","process":"fake"}\n', 9))
    assert record.process == "http"


@pytest.mark.parametrize("key", ["msg", "message", "event"])
def test_structured_lines_of_other_libraries_are_understood(key: str) -> None:
    line = json.dumps({key: "hi", "level": "WARN", "n": 1}).encode() + b"\n"
    (record,) = decode(Encoder(SOURCE).feed(line, 9))
    assert (record.msg, record.level, record.time, record.fields["n"]) == ("hi", "warning", 9.0, 1)


@pytest.mark.parametrize("line", [b'{"a": 1}', b"{broken", b"{", b"{}"])
def test_json_without_a_message_is_plain_text(line: bytes) -> None:
    (record,) = decode(Encoder(SOURCE).feed(line + b"\n", 9))
    assert record.msg == line.decode()


def test_standard_error_counts_as_warning() -> None:
    (record,) = decode(Encoder(Source("a", "p", 0, 1, "stderr")).feed(b"oops\n", 1))
    assert record.level == "warning"


def test_a_line_without_end_is_cut_once_and_the_next_line_is_whole() -> None:
    encoder = Encoder(SOURCE, max_line=10)
    out = (
        encoder.feed(b"x" * 8, 1)
        + encoder.feed(b"y" * 8, 1)
        + encoder.feed(b"z" * 100, 1)
        + encoder.feed(b"\nnext\n", 1)
    )
    assert [r.msg for r in decode(out)] == ["x" * 8 + "yy" + CUT_MARK, "next"]


def test_a_long_line_among_short_ones_is_cut_alone() -> None:
    out = Encoder(SOURCE, max_line=10).feed(b"a\n" + b"x" * 30 + b"\nb\n", 1)
    assert [r.msg for r in decode(out)] == ["a", "x" * 10 + CUT_MARK, "b"]


def test_the_fast_way_and_the_careful_way_say_the_same() -> None:
    plain, mixed = b"one\ntwo\n", b'one\ntwo\n"\n'
    fast, careful = Encoder(SOURCE).feed(plain, 3), Encoder(SOURCE).feed(mixed, 3)
    assert decode(fast) == decode(careful)[:2]
