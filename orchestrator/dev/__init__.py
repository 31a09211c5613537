"""The whole stack on one machine, for trying things out and for the tests.

Nothing here imports the server's libraries: this process lives as long as the stack does.
"""

from orchestrator.dev.demo import run_demo
from orchestrator.dev.options import DevError, Device, DevOptions, parse_device, parse_devices
from orchestrator.dev.parts import Access, Commands
from orchestrator.dev.supervisor import run_dev

__all__ = [
    "Access",
    "Commands",
    "DevError",
    "DevOptions",
    "Device",
    "parse_device",
    "parse_devices",
    "run_demo",
    "run_dev",
]
