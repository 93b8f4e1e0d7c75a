"""`python -m benchmarks.peers.rpc_server NAME PORT`: the server of one of the peers; prints a line when it listens."""

import importlib
import sys


def main() -> None:
    name, port = sys.argv[1], int(sys.argv[2])
    importlib.import_module(f"benchmarks.peers.{name}").serve(port, lambda: print("ready", flush=True))


if __name__ == "__main__":
    main()
