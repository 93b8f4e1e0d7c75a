from omnitron import Http, Process, Topology, Transports, define_system

system = define_system(
    name="shop",
    version="1.0.0",
    env={"SHOP_NAME": "corner"},
    processes=[
        Process(name="http", module="shop.orders", transports=Transports(http=Http(port=0))),
        Process(name="rates", module="shop.rates", instances=2, topology=Topology(expose=True)),
        Process(name="printer", command=("sleep", "1000")),
    ],
)
