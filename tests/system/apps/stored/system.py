"""The same with real Postgres and Redis behind the pool."""

from omnitron import Http, Process, Restart, Topology, Transports, define_system
from omnitron.model.needs import Database, Needs

OFTEN = Restart(intensity=1000, period="1s")

system = define_system(
    name="store",
    version="1.0.0",
    needs=Needs(database=Database(migrations="migrations"), redis=True),
    processes=[
        Process(
            name="http",
            module="stored.api",
            restart=OFTEN,
            transports=Transports(http=Http(port=8080)),
            topology=Topology(access=["Keeping"]),
        ),
        Process(name="keeping", module="stored.keeping", instances=2, restart=OFTEN, topology=Topology(expose=True)),
    ],
)
