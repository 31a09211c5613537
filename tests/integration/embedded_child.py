"""Run by the tests as a process of its own: brings servers up, says where, and waits.

python embedded_child.py DATA_DIR keep|ephemeral
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from orchestrator import embedded


def main(data_dir: Path, kind: str) -> None:
    with embedded.servers(data_dir, ephemeral=kind == "ephemeral", env={}) as running:
        assert running.postgres and running.valkey
        facts = {
            "database": running.database,
            "broker": running.broker,
            "data_dir": str(running.data_dir),
            "pids": [running.postgres.pid, running.valkey.pid],
            "uid": os.geteuid(),
        }
        print(json.dumps(facts), flush=True)
        time.sleep(60)


if __name__ == "__main__":
    # A shell starts what it puts into the background with Ctrl-C ignored, and so might be we.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(Path(sys.argv[1]), sys.argv[2])
