"""Numbers as exchanges write them, kept exactly: what may be one, arithmetic without rounding, and how we print them.

A trade's numbers are bounded (20 digits before the point, 30 after it), so sums of products fit `EXACT` by
construction. Should a number from elsewhere not fit, `EXACT` raises instead of rounding.
"""

import re
from decimal import ROUND_05UP, ROUND_HALF_EVEN, Clamped, Context, Decimal, DivisionByZero, Inexact, InvalidOperation
from typing import Final

import msgspec

MAX_INTEGER_DIGITS: Final = 20
MAX_PLACES: Final = 30
MAX_TEXT_LEN: Final = 64
VWAP_PLACES: Final = Decimal("1E-12")

# 2 * 20 digits of a product before the point, 2 * 30 after it, and 20 more for as many trades as can be counted.
_DIGITS: Final = 2 * MAX_INTEGER_DIGITS + 2 * MAX_PLACES + 20
EXACT: Final = Context(prec=_DIGITS, traps=[Inexact, InvalidOperation, DivisionByZero, Clamped])
# Rounding twice is safe only if the first rounding never lands on a tie by itself: that is what ROUND_05UP is for.
_QUOTIENT: Final = Context(prec=_DIGITS, rounding=ROUND_05UP, traps=[InvalidOperation, DivisionByZero])
_NUMBER: Final = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def _literal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent past what Decimal can hold, in a field that may not even be ours
        return Decimal("NaN")


_DECODER: Final = msgspec.json.Decoder(float_hook=_literal)


def decode(frame: str | bytes) -> object:
    """JSON with its non-integer numbers as `Decimal`, digit for digit.

    Errors: ValueError if it is not JSON (malformed, truncated, not UTF-8, nested too deeply).
    """
    try:
        return _DECODER.decode(frame)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def number(value: object) -> Decimal | None:
    """The number a JSON value states, as text or as a number; None if it states none or one out of bounds."""
    if isinstance(value, str):
        if len(value) > MAX_TEXT_LEN or not _NUMBER.fullmatch(value):
            return None
        value = Decimal(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        return None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MAX_PLACES or value.adjusted() >= MAX_INTEGER_DIGITS:
        return None
    return value


def ratio(dividend: Decimal, divisor: Decimal) -> Decimal:
    """dividend / divisor, rounded half-even once, to 12 places."""
    quotient = _QUOTIENT.divide(dividend, divisor)
    return quotient.quantize(VWAP_PLACES, rounding=ROUND_HALF_EVEN, context=_QUOTIENT)


def plain(value: Decimal) -> str:
    """The number without exponent or trailing zeros: "21550", "0.0000001", "0"."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
