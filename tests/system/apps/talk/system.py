"""Programs that print, and one that can not start until a file is there."""

import os
import sys

from omnitron import Process, Restart, define_system

TALK = """
import json, time
for n in range(200):
    level = "error" if n % 10 == 0 else "info"
    print(json.dumps({"level": level, "msg": f"line {n}", "number": n}))
print("plain words", flush=True)
time.sleep(1000)
"""

system = define_system(
    name="talk",
    version="1.0.0",
    processes=[
        Process(name="talker", command=[sys.executable, "-c", TALK]),
        Process(
            name="waiter",
            module="waiting",
            env={"TALK_FLAG": os.environ.get("TALK_FLAG", os.devnull)},
            restart=Restart(intensity=0, period="1h"),
        ),
    ],
)
