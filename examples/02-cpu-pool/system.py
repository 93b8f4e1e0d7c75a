"""Image transforms in a pool: four workers, up to eight under load, calls to the one with the least to do."""

from omnitron import Health, Http, Limits, Process, Scaling, Topology, Transports, define_system

system = define_system(
    name="images",
    version="1.0.0",
    processes=[
        Process(
            name="http",
            module="images.api",
            transports=Transports(http=Http(port=3010)),
            topology=Topology(access=["ImageTransformWorker"]),
        ),
        Process(
            name="image-transform",
            module="images.worker",
            instances=4,
            scaling=Scaling(strategy="auto", max_instances=8, target_cpu=70),
            limits=Limits(concurrency=2, queue=16),
            health=Health(interval="30s", timeout="5s"),
            topology=Topology(expose=True),
        ),
    ],
)
