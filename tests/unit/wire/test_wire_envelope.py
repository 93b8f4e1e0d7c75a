import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnitron.base.errors import InternalError, OmnitronError, Overloaded, RemoteError
from omnitron.wire.envelope import (
    Context,
    Hello,
    Offer,
    Principal,
    call_head,
    decode_context,
    decode_credit,
    decode_hello,
    encode_context,
    encode_credit,
    encode_hello,
    parse_call,
)
from omnitron.wire.failures import decode_error, encode_error
from omnitron.wire.frames import FrameDecoder


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=300),
    st.binary(min_size=1, max_size=40_000),
)
def test_a_call_is_read_as_it_was_written(call_id, method_id, deadline_ms, context, args):
    data = call_head(call_id, method_id, deadline_ms, context, len(args)) + args
    ((kind, got_id, body),) = FrameDecoder().feed(data)
    assert (kind, got_id) == (2, call_id)
    got_method, got_deadline, got_context, got_args = parse_call(body)
    assert (got_method, got_deadline, bytes(got_context), bytes(got_args)) == (method_id, deadline_ms, context, args)


def test_a_call_without_arguments_is_no_call():
    with pytest.raises(InternalError, match="protocol"):
        parse_call(bytes(8))


def test_context_and_hello_come_back():
    context = Context(Principal("u", frozenset({"a"}), "t", {"n": 1}), "00-aa-bb-01", {"k": "v"})
    assert decode_context(encode_context(context)) == context
    hello = Hello(who="market/http/0", offers=(Offer("ohlcv", "1.0.0", 0, ("rebuild",)),))
    assert decode_hello(encode_hello(hello)) == hello


def test_a_context_over_its_limit_is_refused():
    with pytest.raises(InternalError, match="baggage"):
        encode_context(Context(baggage={"k": "v" * 70_000}))


def test_another_protocol_is_refused_by_name():
    with pytest.raises(InternalError, match="protocol 2"):
        decode_hello(encode_hello(Hello(protocol=2)))
    with pytest.raises(InternalError, match="HELLO"):
        decode_hello(b"\xff")


def test_credit_comes_back_and_rubbish_does_not():
    assert decode_credit(encode_credit(32)) == 32
    with pytest.raises(InternalError):
        decode_credit(b"1")


class WithOtherArguments(OmnitronError):
    code = "test_with_other_arguments"

    def __init__(self, symbol: str) -> None:
        super().__init__(f"No {symbol}.", details={"symbol": symbol, "odd": object})


def test_errors_are_rebuilt_as_their_class():
    error, ran = decode_error(encode_error(Overloaded("Full.", details={"retry_after_s": 2}), ran=False))
    assert isinstance(error, Overloaded)
    assert (error.retry_after_s, ran) == (2, False)
    own, ran = decode_error(encode_error(WithOtherArguments("BTC")))
    assert type(own) is WithOtherArguments
    assert (own.details["symbol"], ran) == ("BTC", True)
    assert own.details["odd"] == "<class 'object'>"


def test_an_unknown_code_is_a_remote_error_that_keeps_it():
    error, _ = decode_error(encode_error(OmnitronError("What.", details={"a": 1}), code="from_another_version"))
    assert isinstance(error, RemoteError)
    assert error.details == {"type": "from_another_version", "message": "What.", "a": 1}


def test_an_error_that_can_not_be_read_is_an_internal_error():
    assert isinstance(decode_error(b"\x01")[0], InternalError)
