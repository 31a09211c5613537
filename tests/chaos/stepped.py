"""`holdfast` on a machine whose clock is wrong: `python -P stepped.py SECONDS WORDS...`

The wall clock is moved for everything that asks for it in Python, as far as our own code and
Celery do; the monotonic clock is not, as it would not be by a step of a real clock either.
"""

import sys
import time
from datetime import datetime, timedelta, tzinfo
from importlib import import_module


def main() -> None:
    seconds = float(sys.argv[1])
    sys.argv = ["holdfast", *sys.argv[2:]]
    real = time.time

    class Stepped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Stepped":
            return super().now(tz) + timedelta(seconds=seconds)

    time.time = lambda: real() + seconds
    # Celery takes `datetime` by name: these are where it compares and writes expiry dates.
    for name in ("celery.app.base", "celery.worker.request"):
        import_module(name).datetime = Stepped  # type: ignore[attr-defined]
    import_module("orchestrator.cli").main()


if __name__ == "__main__":
    main()
