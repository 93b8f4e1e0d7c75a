import msgspec
import pytest

from omnitron.kits.streams import Stream
from omnitron.testing import FakeStreams

NUMBERS = Stream("numbers", type=int, max_len=10)
WORDS = Stream("words", type=str, max_len=10)


async def test_what_is_sent_can_be_read_by_stream_and_in_order() -> None:
    streams = FakeStreams()
    numbers = streams.producer(NUMBERS)
    await numbers.send(1)
    await streams.producer(WORDS).put("one")
    await streams.producer(NUMBERS, buffer=5).send_many([2, 3])
    await numbers.flush()
    assert (streams.sent(NUMBERS), streams.sent(WORDS), numbers.buffered) == ([1, 2, 3], ["one"], 0)


async def test_an_item_of_a_wrong_type_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        await FakeStreams().producer(NUMBERS).send("one")  # type: ignore[arg-type]
