"""A small system to be killed and reloaded under load: two HTTP replicas in front of a pool of two."""

import os

from omnitron import Http, Limits, Process, Restart, Topology, Transports, define_system

OFTEN = Restart(intensity=1000, period="1s")  # whoever kills every second shall not be told that it was enough

system = define_system(
    name="shop",
    version="1.0.0",
    env={"POOLED_RUNS": os.environ.get("POOLED_RUNS", os.devnull)},
    processes=[
        Process(
            name="http",
            module="pooled.api",
            instances=2,
            restart=OFTEN,
            transports=Transports(http=Http(port=8080)),
            topology=Topology(access=["Work"]),
        ),
        Process(
            name="work",
            module="pooled.work",
            instances=2,
            restart=OFTEN,
            limits=Limits(concurrency=16, queue=64),
            topology=Topology(expose=True),
        ),
    ],
)
