"""A device worker, from its start to its last process."""

import logging
import os
import platform
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any, Final

from celery import Celery, signals

from schemas import logs, trace
from schemas.task import Hello, Settle, Window, device_queue
from workers.announce import Announcer
from workers.app import POOL, make_app, only_while, publish, serve_execute, watch_execute
from workers.config import BadSettings, Settings
from workers.execute import Execution, Holding, Shift
from workers.executors import options as executor_options
from workers.executors import registry
from workers.executors.child import ExecutorChild
from workers.executors.leftovers import kill_leftovers
from workers.executors.options import BadOptions
from workers.executors.process import ChildOptions
from workers.journal import Journal, JournalError, JournalInUse
from workers.metrics import Figures, NotServed
from workers.permits import Permits
from workers.results import ObjectStore, Packer
from workers.session import SessionLock
from workers.shipping import Shipper

logger = logging.getLogger(__name__)

BAD_USAGE: Final = 2
_STUCK_AFTER_S: Final = 15.0


def run_worker(
    *, device: str, type: str, executor: str, env: Mapping[str, str], options: Sequence[str] = ()
) -> int:
    """Serves a device until SIGTERM or SIGINT. The exit status: 0, or 2 for a bad setting."""
    try:
        settings = Settings.from_env(env, device=device)
        registry.find(executor)
        chosen = executor_options.read(executor, options, env)
    except (BadSettings, BadOptions, registry.UnknownExecutor) as error:
        print(f"holdfast worker: {error}", file=sys.stderr)
        return BAD_USAGE
    _tell(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        with _journal(settings.journal_dir, device) as journal:
            child = _child_options(settings, executor, chosen, journal.id)
            return DeviceWorker(settings, journal, device, type, child).serve()
    except (JournalError, NotServed) as error:
        print(f"holdfast worker: {error}", file=sys.stderr)
        return BAD_USAGE
    except SystemExit as left:
        return int(left.code or 0)
    finally:
        trace.stop()


def _tell(settings: Settings) -> None:
    secrets = logs.passwords(settings.broker_url)
    secrets += filter(None, (settings.s3.secret_key,))
    logs.configure("worker", format=settings.log_format, level=settings.log_level, secrets=secrets)
    if settings.traces:
        trace.start("holdfast-worker")


class DeviceWorker:
    def __init__(
        self, settings: Settings, journal: Journal, device: str, type: str, child: ChildOptions
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._device = device
        self._type = type
        self._executor = child.executor
        self._child = ExecutorChild(child)
        holding = Holding()
        self._session = SessionLock(
            url=settings.broker_url,
            device=device,
            type=type,
            journal=journal,
            holding=holding,
            lease_s=settings.lease_s,
            leash=self._child.leash.set_deadline,
        )
        self._app = make_app(settings.broker_url, device)
        self._announcer = Announcer(lambda name, body: publish(self._app, name, body), self._hello)
        self._permits = Permits(settings.broker_url)
        self._shift = Shift(session=self._session.current)
        self._active = threading.Event()
        self._shipper = Shipper(journal, device=device, store=lambda: _store(settings, retry_s=0.0))
        self._execution = Execution(
            device=device,
            shift=self._shift,
            permits=self._permits,
            journal=journal,
            child=self._child,
            packer=Packer(
                lambda: _store(settings, retry_s=settings.store_retry_s),
                journal.folder / "unstored",
            ),
            tell=self._announcer.began,
            wall_s=settings.job_wall_s,
            holding=holding,
        )
        self._figures = self._served_figures(settings)

    def _served_figures(self, settings: Settings) -> Figures | None:
        if settings.metrics is None:
            return None
        made = Figures(
            self._device,
            self._type,
            journal=self._journal.folder,
            held=lambda: self._session.current() is not None,
        )
        made.serve(*settings.metrics)
        return made

    def serve(self) -> int:
        kill_leftovers(self._journal.id)
        self._journal.opened()
        try:
            self._shipper.start()
            self._child.start()
            self._announcer.start()
            self._session.start(self._taken)
            # In short steps, since a signal is only handled between two of them.
            while not self._active.wait(0.5):
                pass
            return self._consume(self._app)
        finally:
            self._child.close()
            self._announcer.stop()
            self._session.stop()
            self._permits.close()
            self._shipper.stop()

    def _consume(self, app: Celery) -> int:
        serve_execute(app, self._counted(self._execution.execute))
        receivers = watch_execute(self._execution, self._announcer)
        only_while(app, lambda: self._session.current() is not None)
        signals.worker_shutting_down.connect(self._shutting_down)
        worker = app.Worker(
            pool=POOL,
            concurrency=1,
            queues=[device_queue(self._device)],
            hostname=f"{self._device}@{socket.gethostname()}",
            without_gossip=True,
            without_mingle=True,
            heartbeat_interval=10,
            quiet=True,
        )
        worker.start()
        del receivers
        return int(worker.exitcode or 0)

    def _counted(self, run: Callable[[Window], Settle]) -> Callable[[Window], Settle]:
        return run if self._figures is None else self._figures.counting(run)

    def _taken(self) -> None:
        self._active.set()
        self._announcer.say_hello()

    def _shutting_down(self, **_: Any) -> None:
        if not self._shift.leaving.is_set():
            self._shift.leaving.set()
            threading.Thread(target=self._hurry, name="hurry", daemon=True).start()

    def _hurry(self) -> None:
        """Bounds the polite stop: first for the job, then for everything."""
        time.sleep(self._settings.stop_s)
        logger.warning("stopping: the running job has had its %g s", self._settings.stop_s)
        self._shift.now.set()
        self._child.kill()
        time.sleep(_STUCK_AFTER_S)
        logger.error("stopping the hard way: a message could not be sent")
        self._session.stop()
        os._exit(1)

    def _hello(self) -> Hello | None:
        session = self._session.current()
        if session is None:
            return None
        return Hello(
            device=self._device,
            type=self._type,
            session=session,
            journal=self._journal.id,
            executor=self._executor,
            executors=registry.names(),
            versions=_versions(self._executor),
            host=socket.gethostname(),
            outcomes=list(self._journal.unacknowledged()),
        )


def _journal(folder: Path, device: str) -> Journal:
    """Waits while another process on this node has it: that one is active, we stand by."""
    told = False
    while True:
        try:
            return Journal(folder, device=device)
        except JournalInUse:
            if not told:
                logger.info("standing by: another worker on this node holds %s", folder)
                told = True
            time.sleep(0.5)


def _leave(signum: int, frame: FrameType | None) -> None:
    """Until Celery brings its own handlers: nothing runs yet, so just go."""
    raise SystemExit(0)


def _child_options(
    settings: Settings, executor: str, options: Mapping[str, Any], mark: str
) -> ChildOptions:
    return ChildOptions(
        executor=executor,
        options=options,
        mark=mark,
        max_result_bytes=settings.max_result_bytes,
        max_rss_mb=settings.child_max_rss_mb,
        kill_grace_s=settings.kill_grace_s,
        start_s=settings.child_start_s,
        log_level=settings.log_level,
        log_format=settings.log_format,
    )


def _store(settings: Settings, *, retry_s: float) -> ObjectStore:
    return ObjectStore(settings.store_url, settings.s3, retry_s=retry_s)


def _versions(executor: str) -> dict[str, str]:
    found = {"python": platform.python_version(), **registry.versions(executor)}
    try:
        found["holdfast-server"] = version("holdfast-server")
    except PackageNotFoundError:
        logger.debug("running from a tree that is not installed")
    return found
