"""Run by the tests as a process of its own: `holdfast dev` with stubs as its parts.

python dev_child.py DATA_DIR READY_FILE [slow] [deaf] [embedded] [ephemeral] [port=N]
"""

import os
import sys
from pathlib import Path

from orchestrator.dev import Commands, Device, DevOptions, parse_devices, run_dev

PREPARE = """
import json, sys
facts = {"project_id": "p", "username": "dev", "password": "secret", "api_key": "key"}
open(sys.argv[1], "w").write(json.dumps(facts))
"""
API = """
import http.server, os, sys
print("api says hello", flush=True)
assert os.environ["HOLDFAST_DATABASE_URL"]
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if sys.argv[2] == "slow" else 200)
        self.end_headers()
        self.wfile.write(b"emu-a is offline" if sys.argv[2] == "slow" else b"9 online")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
WORKER = """
import json, os, signal, sys, time
names = [name for name in os.environ if name.startswith("HOLDFAST_")]
open(os.environ["HOLDFAST_JOURNAL_DIR"] + "/seen.json", "w").write(json.dumps(sorted(names)))
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""
SLEEP = "import time; time.sleep(600)"
URLS = {"HOLDFAST_DATABASE_URL": "postgresql://d", "HOLDFAST_BROKER_URL": "redis://b"}


def python(script: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script, *words)


class Stubs(Commands):
    def __init__(self, words: list[str]) -> None:
        self.slow = "slow" if "slow" in words else "-"
        self.deaf = "deaf" if "deaf" in words else "-"

    def prepare(self, credentials: Path, devices: tuple[Device, ...]) -> tuple[str, ...]:
        return python(PREPARE, str(credentials), *map(str, devices))

    def api(self, port: int) -> tuple[str, ...]:
        return python(API, str(port), self.slow)

    def control(self) -> tuple[str, ...]:
        return python(SLEEP, "control")

    def beat(self) -> tuple[str, ...]:
        return python(SLEEP, "beat")

    def worker(self, device: Device) -> tuple[str, ...]:
        return python(WORKER, self.deaf, device.name)

    def flower(self, port: int) -> tuple[str, ...]:
        return python(SLEEP, "flower", str(port))


def main(data_dir: Path, ready_file: Path, words: list[str]) -> int:
    ports = [int(word.removeprefix("port=")) for word in words if word.startswith("port=")]
    env = dict(os.environ) if "embedded" in words else os.environ | URLS
    options = DevOptions(
        devices=parse_devices(["emu-a:EMU_FREE", "qpu-1:FRESNEL:scripted"]),
        data_dir=data_dir,
        ready_file=ready_file,
        idle_timeout_s=7,
        port=ports[0] if ports else 0,
        ephemeral="ephemeral" in words,
        verbose=True,
        ready_within_s=2 if "slow" in words else 60,
        env=env,
    )
    return run_dev(options, Stubs(words))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
