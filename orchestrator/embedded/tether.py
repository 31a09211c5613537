"""Turns into another program that dies with the process that started it.

Run as a script, before anything of ours is importable: standard library only. It stands where
`preexec_fn` would, which is not safe once the parent has threads.

    tether.py PARENT_PID DEATH_SIGNAL IDENTITY PROGRAM [ARGUMENT]...
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
NOBODY = 65534
ORPHANED = 125
NOT_STARTED = 126


def become(identity: str, libc: ctypes.CDLL) -> None:
    if identity == "userns" and libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "no permission to make a user namespace")
    if identity == "nobody":
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def main(parent: int, death_signal: int, identity: str, program: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    become(identity, libc)
    # After the change of identity, which clears it.
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(ORPHANED)
    # Python ignores these two, and an ignored signal stays ignored across exec.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    os.execv(program[0], program)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
    except OSError as error:
        sys.stderr.write(f"cannot start {sys.argv[4]}: {error}\n")
        sys.exit(NOT_STARTED)
