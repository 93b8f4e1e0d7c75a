"""A schedule in one process, the work in a pool. Recipe 3."""

from omnitron import Http, Limits, Process, Topology, Transports, define_system

system = define_system(
    name="reports",
    version="1.0.0",
    processes=[
        Process(
            name="http",
            module="reports.api",
            instances=2,  # two schedulers, and still one firing per tick
            transports=Transports(http=Http(port=3020)),
            topology=Topology(access=["ReportWorker"]),
        ),
        Process(
            name="report-worker",
            module="reports.worker",
            instances=2,
            limits=Limits(concurrency=4, queue=64),
            topology=Topology(expose=True),
        ),
    ],
)
