"""supervisord, where it is installed: 20 children, in the foreground."""

import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from omnitron.supervise.processinfo import children_of

AVAILABLE = importlib.util.find_spec("supervisor") is not None
PROGRAM = "[program:p{n}]\ncommand=/bin/sleep 1000\nstartsecs=0\n"


def start(count: int) -> float:
    """Milliseconds from its start until that many children run."""
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder, "supervisord.conf")
        own = f"[supervisord]\nlogfile={folder}/log\npidfile={folder}/pid\nchildlogdir={folder}\n"
        conf.write_text(own + "".join(PROGRAM.format(n=n) for n in range(count)))
        begin = time.perf_counter()
        command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-n", "-s", "-c", str(conf)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while len(children_of(process.pid)) < count:
                if process.poll() is not None or time.perf_counter() - begin > 30:
                    raise RuntimeError("supervisord did not start its children")
                time.sleep(0.002)
            return (time.perf_counter() - begin) * 1000
        finally:
            process.terminate()
            process.wait()
