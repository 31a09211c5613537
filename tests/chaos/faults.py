"""What can go wrong. Each fault says what it did, and leaves word how it is undone."""

import os
import random
import resource
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
import redis

from orchestrator.embedded import Stop
from schemas.failpoint import SEED, VARIABLE
from tests.chaos import stepped
from tests.chaos.nemesis import Fault, Nemesis
from tests.chaos.plant import DEVICES, ORCHESTRATOR, STANDBY
from tests.e2e.stack import HOLDFAST, LEASE_S

FREEZE_S: Final = 3 * LEASE_S
MOST_FROZEN: Final = 4
STEP_S: Final = 300.0
Dice = random.Random

_AT_HOME: Final = ("permits.granted", "tx.committed", "chain.published")
_ON_DEVICES: Final = ("permitted", "began", "ended", "uploaded", "finished", "settled")
_DEEDS: Final = ("kill:0.01", "raise:0.05", "sleep(0.3):0.05", "stop@40")


def kill(nemesis: Nemesis, dice: Dice) -> str | None:
    name = _running(nemesis, dice)
    if name is None:
        return None
    seconds = dice.uniform(0, 8)
    nemesis.kill(name)
    nemesis.down(name, seconds)
    return f"{name}, for {seconds:.1f} s"


def freeze(nemesis: Nemesis, dice: Dice) -> str | None:
    """Often one of the two of which the other takes over: they must never both be at work."""
    contested = dice.choice(tuple(nemesis.plant.workers_of(STANDBY)))
    name = _usable(nemesis, contested) if dice.random() < 0.3 else _running(nemesis, dice)
    frozen = [each for each in nemesis.plant.parts if _is_frozen(nemesis, each)]
    if name is None or len(frozen) >= MOST_FROZEN:
        return None
    pid = nemesis.plant.parts[name].pid
    seconds = FREEZE_S if dice.random() < 0.8 else dice.uniform(1, LEASE_S)
    os.kill(pid, signal.SIGSTOP)
    nemesis.later(seconds, f"{name} goes on", lambda: _resume(pid))
    return f"{name}, for {seconds:.1f} s"


def kill_executor(nemesis: Nemesis, dice: Dice) -> str | None:
    name = dice.choice(sorted(nemesis.plant.workers))
    executor = nemesis.plant.executor(name)
    if executor is None:
        return None
    with suppress(psutil.Error):
        executor.kill()
    return f"of {name}"


def freeze_executor(nemesis: Nemesis, dice: Dice) -> str | None:
    name = dice.choice(sorted(nemesis.plant.workers))
    executor = nemesis.plant.executor(name)
    if executor is None:
        return None
    seconds = dice.uniform(1, LEASE_S)
    with suppress(psutil.Error):
        executor.suspend()
    nemesis.later(seconds, f"the executor of {name} goes on", lambda: _resume(executor.pid))
    return f"of {name}, for {seconds:.1f} s"


def stop_postgres(nemesis: Nemesis, dice: Dice) -> str | None:
    postgres = nemesis.plant.servers.postgres
    if postgres is None or not postgres.pid:
        return None
    seconds = dice.uniform(0, 5)
    postgres.stop(Stop.IMMEDIATE)
    nemesis.later(seconds, "Postgres is started", postgres.start)
    return f"for {seconds:.1f} s"


def lose_redis(nemesis: Nemesis, dice: Dice) -> str | None:
    valkey = nemesis.plant.servers.valkey
    if valkey is None or not valkey.pid:
        return None
    seconds = dice.uniform(0, 5)
    valkey.kill()
    shutil.rmtree(nemesis.plant.servers.data_dir / "valkey")
    nemesis.later(seconds, "Redis is started, empty", valkey.start)
    return f"killed, its data is gone, for {seconds:.1f} s"


def flush_redis(nemesis: Nemesis, dice: Dice) -> str | None:
    return _command(nemesis, "FLUSHALL")


def drop_clients(nemesis: Nemesis, dice: Dice) -> str | None:
    return _command(nemesis, "CLIENT", "KILL", "TYPE", "normal")


def hold(nemesis: Nemesis, dice: Dice) -> str | None:
    return _misbehave(nemesis, dice, "hold")


def mute(nemesis: Nemesis, dice: Dice) -> str | None:
    return _misbehave(nemesis, dice, "mute")


def cut(nemesis: Nemesis, dice: Dice) -> str | None:
    link = dice.choice(sorted(nemesis.plant.proxy.ports))
    nemesis.plant.proxy.tell(link, "cut")
    return link


def second_worker(nemesis: Nemesis, dice: Dice) -> str | None:
    """On another node, as far as it can tell: its journal is another."""
    device = dice.choice(sorted(DEVICES))
    name = f"second-{device}"
    if name in nemesis.plant.parts:
        return None
    nemesis.plant.worker(name, device, name)

    def leave() -> None:
        nemesis.plant.workers.pop(name)
        part = nemesis.plant.parts.pop(name)
        part.kill()

    seconds = dice.uniform(10, 25)
    nemesis.later(seconds, f"{name} is killed for good", leave)
    return f"for {device}, for {seconds:.1f} s"


def step_clock(nemesis: Nemesis, dice: Dice) -> str | None:
    name = _running(nemesis, dice)
    if name is None:
        return None
    step = dice.choice((-STEP_S, -20.0, -3.0, 3.0, 20.0, STEP_S))
    program = (sys.executable, "-P", Path(stepped.__file__), f"{step:g}")
    _restart(nemesis, name, program=program)
    seconds = dice.uniform(8, 20)
    nemesis.later(seconds, f"the clock of {name} is right", lambda: _restart(nemesis, name))
    return f"of {name} by {step:+g} s, for {seconds:.1f} s"


def fill_disk(nemesis: Nemesis, dice: Dice) -> str | None:
    name = dice.choice(sorted(nemesis.plant.workers))
    if not nemesis.plant.is_up(name):
        return None
    pid = nemesis.plant.parts[name].pid
    seconds = dice.uniform(2, 10)
    _limit_files(pid, 1)
    nemesis.later(
        seconds,
        f"{name} has room on its disk",
        lambda: _limit_files(pid, resource.RLIM_INFINITY),
    )
    return f"of {name}, for {seconds:.1f} s"


def arm_failpoint(nemesis: Nemesis, dice: Dice) -> str | None:
    name = _running(nemesis, dice)
    if name is None or name.startswith("beat"):
        return None
    is_worker = name in nemesis.plant.workers
    point = f"worker.{dice.choice(_ON_DEVICES)}" if is_worker else dice.choice(_AT_HOME)
    armed = f"{point}={dice.choice(_DEEDS)}"
    _restart(nemesis, name, env={VARIABLE: armed, SEED: str(dice.random())})
    nemesis.expected.add(name)
    seconds = dice.uniform(10, 20)
    nemesis.later(seconds, f"{name} without failpoints", lambda: _restart(nemesis, name))
    return f"{armed} in {name}, for {seconds:.1f} s"


FAULTS: Final[dict[str, tuple[int, Fault]]] = {
    "kill": (18, kill),
    "freeze": (14, freeze),
    "kill the executor": (7, kill_executor),
    "freeze the executor": (4, freeze_executor),
    "stop Postgres": (4, stop_postgres),
    "lose Redis": (4, lose_redis),
    "flush Redis": (4, flush_redis),
    "drop Redis' clients": (4, drop_clients),
    "hold a link": (6, hold),
    "hold a link's answers": (6, mute),
    "cut a link": (4, cut),
    "second worker": (5, second_worker),
    "step a clock": (5, step_clock),
    "fill a journal's disk": (5, fill_disk),
    "failpoint": (10, arm_failpoint),
}


def _running(nemesis: Nemesis, dice: Dice) -> str | None:
    """Any part that is up and not in trouble already; workers and the rest alike often."""
    plant = nemesis.plant
    names = sorted(plant.workers) if dice.random() < 0.5 else list(ORCHESTRATOR)
    return _usable(nemesis, dice.choice(names))


def _usable(nemesis: Nemesis, name: str) -> str | None:
    usable = nemesis.plant.is_up(name) and name not in nemesis.expected
    return name if usable and not _is_frozen(nemesis, name) else None


def _is_frozen(nemesis: Nemesis, name: str) -> bool:
    with suppress(psutil.Error):
        pid = nemesis.plant.parts[name].pid
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return False


def _resume(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def _restart(
    nemesis: Nemesis,
    name: str,
    *,
    program: tuple[str | Path, ...] = (HOLDFAST,),
    env: dict[str, str] | None = None,
) -> None:
    """Killed and started as it is told now; what it was told before is forgotten."""
    part = nemesis.plant.parts.get(name)
    if part is None:
        return
    nemesis.kill(name)
    part.program = program
    ours = {k: v for k, v in part.env.items() if k not in (VARIABLE, SEED)}
    part.env = {**ours, **(env or {})}
    nemesis.up(name)


def _command(nemesis: Nemesis, *words: str) -> str | None:
    try:
        with redis.Redis.from_url(nemesis.plant.servers.broker, socket_timeout=2) as client:
            client.execute_command(*words)
    except redis.RedisError:
        return None
    return " ".join(words)


def _misbehave(nemesis: Nemesis, dice: Dice, mode: str) -> str:
    proxy = nemesis.plant.proxy
    link = dice.choice(sorted(proxy.ports))
    seconds = dice.uniform(1, 12)
    after = dice.choice(("pass", "cut"))
    proxy.tell(link, mode)
    nemesis.later(
        seconds,
        f"the link to {link} works" + (" after a reset" if after == "cut" else ""),
        lambda: proxy.tell(link, after),
    )
    return f"{link}, for {seconds:.1f} s"


def _limit_files(pid: int, size: int) -> None:
    """What lies beyond `size` bytes of a file cannot be written: as on a disk that is full."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        process.rlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
