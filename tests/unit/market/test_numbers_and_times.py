"""Numbers stay digit for digit; moments never pass through a float."""

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.decimals import EXACT, decode, number, plain, ratio
from market.times import ISO, MAX_TIME_US, MICROS, MILLIS, SECONDS


@pytest.mark.parametrize("text", ["0.14", "1e-7", "1E+3", "21550.00000000", "5", "0.1000", "12345678901234567890.5"])
def test_a_json_number_and_its_text_are_the_same_decimal_digit_for_digit(text: str) -> None:
    values = decode(f'[{text}, "{text}"]')
    assert isinstance(values, list)
    assert [repr(number(value)) for value in values] == [repr(Decimal(text))] * 2


@pytest.mark.parametrize(
    "value",
    [
        "",
        " 1",
        "1_0",
        "٣",
        "NaN",
        "Infinity",
        "0x10",
        "1e",
        "+1",
        ".",
        "-",
        "1e99999",
        "9" * 65,
        "1" * 21,
        "1e-31",
        True,
        None,
        1.5,
        [],
        {},
        10**20,
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1E+400"),
    ],
)
def test_what_is_no_number_or_out_of_bounds_is_none(value: object) -> None:
    assert number(value) is None


@pytest.mark.parametrize("frame", ["1E+99999999999999999999", "1e400"])
def test_a_number_past_all_bounds_is_no_error_of_decoding(frame: str) -> None:
    assert number(decode(frame)) is None


@pytest.mark.parametrize("frame", ["", "{", "[NaN]", "[1,]", "\ufeff{}", b'"\xff"', "[" * 100_000, "9" * 5000])
def test_what_is_not_json_is_a_value_error(frame: str | bytes) -> None:
    with pytest.raises(ValueError):
        decode(frame)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("1E+3", "1000"),
        ("0.10", "0.1"),
        ("1e-7", "0.0000001"),
        ("0E-12", "0"),
        ("-0", "0"),
        ("100", "100"),
        ("5.", "5"),
    ],
)
def test_plain_has_no_exponent_and_no_trailing_zeros(text: str, printed: str) -> None:
    assert plain(Decimal(text)) == printed


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**15), max_value=10**15))
def test_plain_loses_nothing(value: Decimal) -> None:
    assert Decimal(plain(value)) == value
    assert "E" not in plain(value)


@given(st.integers(1, 10**30), st.integers(1, 10**30))
def test_ratio_is_rounded_half_even_exactly_once(dividend: int, divisor: int) -> None:
    scaled = Fraction(dividend, divisor) * 10**12
    assert ratio(Decimal(dividend), Decimal(divisor)) == EXACT.scaleb(Decimal(round(scaled)), -12)


@pytest.mark.parametrize(
    ("dividend", "printed"), [("0.5E-12", "0"), ("1.5E-12", "0.000000000002"), ("2.5E-12", "0.000000000002")]
)
def test_a_tie_goes_to_the_even_neighbour(dividend: str, printed: str) -> None:
    assert plain(ratio(Decimal(dividend), Decimal(1))) == printed


def test_just_above_a_tie_is_rounded_up_however_small_the_difference() -> None:
    dividend = EXACT.add(Decimal("0.5E+28"), Decimal("1E-30"))
    assert plain(ratio(dividend, Decimal("1E+40"))) == "0.000000000001"
    assert plain(ratio(Decimal("0.5E+28"), Decimal("1E+40"))) == "0"


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("2021-04-17T16:43:30.244075Z", 1618677810244075),
        ("2021-04-17T16:43:30Z", 1618677810000000),
        ("2021-04-17T16:43:30.5Z", 1618677810500000),
        ("2021-04-17T16:43:30.2440759999Z", 1618677810244075),
        ("2021-04-17T18:43:30.000001+02:00", 1618677810000001),
        ("2021-04-17 16:43:30", 1618677810000000),
    ],
)
def test_iso_moments_are_read_to_the_microsecond(text: str, time_us: int) -> None:
    assert ISO.read(text) == time_us


@pytest.mark.parametrize(
    "value", ["2021-02-30T00:00:00Z", "2021-04-17", "", "now", "1969-12-31T00:00:00Z", 5, None, "٢021-04-17T16:43:30Z"]
)
def test_what_is_no_moment_is_none(value: object) -> None:
    assert ISO.read(value) is None


@given(st.integers(1, MAX_TIME_US))
def test_what_a_unit_writes_it_reads_back(time_us: int) -> None:
    assert MICROS.read(MICROS.write(time_us)) == time_us
    assert SECONDS.read(SECONDS.write(time_us)) == time_us
    assert ISO.read(ISO.write(time_us)) == time_us
    if time_us >= 1000:
        assert MILLIS.read(MILLIS.write(time_us)) == time_us // 1000 * 1000


@pytest.mark.parametrize(
    ("raw", "time_us"),
    [
        ('"1534614057.321597"', 1534614057321597),
        ("1534614057.321597", 1534614057321597),
        ('"1534614057.3215979"', 1534614057321597),
    ],
)
def test_decimal_seconds_are_cut_to_microseconds_without_a_float(raw: str, time_us: int) -> None:
    assert SECONDS.read(decode(raw)) == time_us
    assert (
        int(json.loads(raw, parse_float=lambda text: Fraction(text) * 10**6) if raw[0] != '"' else time_us) == time_us
    )


@pytest.mark.parametrize("value", [0, -5, "0", "abc", None, True, 10**18, "1e19"])
def test_implausible_times_are_none(value: object) -> None:
    assert MILLIS.read(value) is None
