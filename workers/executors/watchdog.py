"""Kills a process group at a deadline that its owner keeps moving: `python -I -S watchdog.py`.

Reads `<group> <deadline>` lines, each of which is all there is to know: the process group (0:
none) and a time of CLOCK_MONOTONIC, or `inf`. Writes the group's number before it kills it, and
`<group> <time>` afterwards. Kills, and ends, when nobody is left to write. Imports next to nothing,
since each worker has one.
"""

import os
import select
import time

SIGKILL = 9
"""The modules `signal` and `contextlib` would each cost this process more than all of its own."""
PIPEFUL = 65536
POLLED_AT_MOST_S = 86400.0


def main() -> None:
    told = select.poll()
    told.register(0, select.POLLIN)
    group, deadline, rest = 0, float("inf"), b""
    while True:
        left = deadline - time.monotonic() if group else float("inf")
        wait_ms = max(0.0, min(left, POLLED_AT_MOST_S)) * 1000
        # What was told while this process slept comes before a deadline that passed meanwhile.
        if told.poll(wait_ms):
            heard = os.read(0, PIPEFUL)
            if not heard:
                break
            *lines, rest = (rest + heard).split(b"\n")
            if lines:
                number, until = lines[-1].split()
                group, deadline = int(number), float(until)
        if group and time.monotonic() >= deadline:
            say(b"%d\n" % group)
            kill(group)
            say(b"%d %r\n" % (group, time.monotonic()))
            group = 0
    if group:
        kill(group)


def say(line: bytes) -> None:
    try:  # noqa: SIM105
        os.write(1, line)
    except OSError:
        pass


def kill(group: int) -> None:
    try:  # noqa: SIM105
        os.killpg(group, SIGKILL)
    except OSError:
        pass


if __name__ == "__main__":
    main()
