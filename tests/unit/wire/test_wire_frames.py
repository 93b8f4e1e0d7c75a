import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnitron.base.errors import FrameTooLarge, InternalError
from omnitron.wire.frames import LARGE_BODY_BYTES, FrameDecoder, check_size, frame, head

KINDS = st.integers(1, 11)
IDS = st.integers(0, 2**32 - 1)
BODIES = st.one_of(st.binary(max_size=200), st.integers(0, 3 * LARGE_BODY_BYTES).map(bytes))


@given(st.lists(st.tuples(KINDS, IDS, BODIES), max_size=8), st.lists(st.integers(1, 40_000), min_size=1, max_size=20))
def test_frames_come_back_whatever_the_pieces(frames, cuts):
    data = b"".join(frame(*each) for each in frames)
    decoder, got, position, turn = FrameDecoder(), [], 0, 0
    while position < len(data):
        size = cuts[turn % len(cuts)]
        got += decoder.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    assert [(kind, call_id, bytes(body)) for kind, call_id, body in got] == frames
    assert decoder.buffered_bytes == 0


@given(st.lists(st.binary(min_size=1, max_size=64), max_size=30))
def test_garbage_gives_frames_or_a_typed_error_and_keeps_no_more_than_a_frame(pieces):
    decoder = FrameDecoder(max_frame_bytes=1024)
    try:
        for piece in pieces:
            decoder.feed(piece)
            assert decoder.buffered_bytes <= 1024 + 64
    except (FrameTooLarge, InternalError):
        pass


def test_a_frame_over_the_limit_is_refused_before_its_body_is_there():
    with pytest.raises(FrameTooLarge, match="limit of a message is 100"):
        FrameDecoder(100).feed(head(2, 1, 1000))
    with pytest.raises(FrameTooLarge):
        FrameDecoder(20_000).feed(frame(2, 1, bytes(20_000)))


def test_a_length_that_holds_no_head_is_refused():
    with pytest.raises(InternalError, match="protocol"):
        FrameDecoder().feed(bytes(9))


def test_a_large_body_is_a_view_of_what_was_received():
    data = frame(2, 1, bytes(LARGE_BODY_BYTES + 1))
    ((_, _, body),) = FrameDecoder().feed(data)
    assert isinstance(body, memoryview)
    assert body.obj is data


def test_the_size_check_counts_the_head():
    check_size(95, 100, "It")
    with pytest.raises(FrameTooLarge, match="It takes 96 bytes"):
        check_size(96, 100, "It")
