"""The operator's device types on their way into the database."""

import os
import subprocess
import sys
from pathlib import Path

from orchestrator import embedded
from orchestrator.services.core import Core
from orchestrator.store import catalog

TEXT = '[[device_type]]\nname = "LAB"\nexecutor = "pulser"\nmax_qubits = 3\n'


def holdfast(
    servers: embedded.Servers, file: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    env = os.environ | {
        "HOLDFAST_DATABASE_URL": servers.database,
        "HOLDFAST_BROKER_URL": servers.broker,
        "HOLDFAST_DEVICES_FILE": str(file),
    }
    return subprocess.run(
        [sys.executable, *words], env=env, capture_output=True, text=True, timeout=60
    )


def test_migrate_defines_the_types_of_the_file(
    servers: embedded.Servers, core: Core, tmp_path: Path
) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(TEXT)
    ended = holdfast(servers, file, "-m", "orchestrator.cli", "migrate")
    assert ended.returncode == 0, ended.stderr
    file.write_text(TEXT.replace("3", "4"))
    prepare = ("-m", "orchestrator.dev.prepare", str(tmp_path / "credentials.json"), "l:LAB:pulser")
    ended = holdfast(servers, file, *prepare)
    assert ended.returncode == 0, ended.stderr
    with core.transaction() as tx:
        found = catalog.device_type(tx, "LAB")
    assert found == catalog.DeviceType("LAB", "pulser", max_qubits=4)


def test_a_wrong_file_is_told_in_a_line_and_changes_nothing(
    servers: embedded.Servers, core: Core, tmp_path: Path
) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(TEXT.replace("3", "0"))
    for words in (("orchestrator.cli", "migrate"), ("orchestrator.dev.prepare", "unused")):
        ended = holdfast(servers, file, "-m", *words)
        assert ended.returncode != 0
        assert ended.stderr.strip().endswith(
            "max_qubits must be a whole number of at least 1, not 0"
        )
        assert "Traceback" not in ended.stderr
    with core.transaction() as tx:
        assert catalog.device_type(tx, "LAB") is None
