"""Redis streams: bounded, typed, with consumer groups whose members may be killed at any time.

    TICKS = Stream("ticks", type=Trade, max_len=1_000_000)

    @service("collector@1.0.0")
    class Collector:
        def __init__(self, streams: Streams) -> None:
            self._ticks = streams.producer(TICKS)
        ...
            await self._ticks.send(trade)

    @service("aggregator@1.0.0")
    class Aggregator:
        @consume(TICKS, group="aggregators", batch=1000)
        async def on_ticks(self, batch: Batch[Trade]) -> None: ...

Delivery is at least once. For an effect exactly once, write idempotently: a unique key per item with ON CONFLICT DO
NOTHING, deriving sums only from the rows that were really inserted; see docs/kits/streams.md.
"""

from omnitron.kits.streams.batch import Batch
from omnitron.kits.streams.consumer import StreamConsumer
from omnitron.kits.streams.kit import Streams
from omnitron.kits.streams.mark import ConsumeMark, consume
from omnitron.kits.streams.producer import StreamProducer
from omnitron.kits.streams.runner import ConsumerRunner
from omnitron.kits.streams.stream import Stream, StreamMark

__all__ = [
    "Batch",
    "ConsumeMark",
    "ConsumerRunner",
    "Stream",
    "StreamConsumer",
    "StreamMark",
    "StreamProducer",
    "Streams",
    "consume",
]
