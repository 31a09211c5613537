"""The environment of pasqal-cloud 0.22.0: what pins it cannot live beside the newest client."""

import subprocess
from pathlib import Path

PYTHON = Path(__file__).parents[2] / ".venv-older" / "bin" / "python"
TIMEOUT_S = 100


def printed_by(*words: object, program: str = "") -> str:
    """By its Python with these words, which reads `program` if they say so."""
    assert PYTHON.exists(), "the older client's environment is missing: run `make env`"
    ended = subprocess.run(
        # Its warnings of its own age are not ours.
        [str(PYTHON), "-W", "ignore", *map(str, words)],
        input=program,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
