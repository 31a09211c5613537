"""Migrates and seeds the database for `holdfast dev`, in a process that ends afterwards.

    python -m orchestrator.dev.prepare CREDENTIALS_FILE NAME:TYPE:EXECUTOR...

The database knows passwords and keys only by their hash, so the file is what remembers them from
one start to the next.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from orchestrator import bootstrap, device_types
from orchestrator.config import BadSettings
from orchestrator.dev.options import parse_devices
from orchestrator.embedded.datadir import write_private

CREDITS: Final = 1_000_000
"""Enough for whatever is tried on one machine."""


def main(path: Path, devices: list[str]) -> None:
    known = bootstrap.Credentials(**json.loads(path.read_text())) if path.exists() else None
    try:
        types = device_types.load(os.environ.get("HOLDFAST_DEVICES_FILE", ""))
    except BadSettings as error:
        sys.exit("\n".join(error.problems))
    credentials = bootstrap.prepare(
        os.environ["HOLDFAST_DATABASE_URL"],
        parse_devices(devices),
        known,
        types=types,
        credits=CREDITS,
    )
    write_private(path, json.dumps(asdict(credentials)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
