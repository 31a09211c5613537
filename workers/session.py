"""The lock that makes one worker the active one of its device, and the heartbeat beside it."""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Final

import redis

from schemas.task import BEAT_TTL_MS, Beat, beat_key, met_key, session_key, since_key
from workers.execute import Holding
from workers.journal import Journal, JournalError
from workers.permits import connect

logger = logging.getLogger(__name__)

POLL_S: Final = 1.0
_TIMEOUT_S: Final = 1.0
OURS_FOR: Final = 0.9
LEASHED_FOR: Final = 0.95
"""Of the lease. Between the two, what runs is asked to stop; after them, killed; and only after
the whole of it somebody else may begin."""
_LOST, _OURS, _RETAKEN, _UNMET = 0, 1, 2, 3
_GREET_AGAIN_S: Final = 5.0
_GREET_SELDOM_S: Final = 60.0
"""The pauses between hellos grow up to here while nobody hears them, or nobody wants to."""

# KEYS: session, beat, met. ARGV: our session, lease in ms, beat, life of the beat in ms, and when,
# by the clock of Redis in ms, it was last renewed: a key that is gone is ours within a lease only.
_RENEW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local holder = redis.call('GET', KEYS[1])
local verdict = 1
if holder == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
elseif not holder and now - ARGV[5] <= tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  verdict = 2
else
  return {0, now}
end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
if verdict == 1 and redis.call('GET', KEYS[3]) ~= ARGV[1] then verdict = 3 end
return {verdict, now}
"""

# KEYS: session. ARGV: the session it must still hold, ours, lease in ms.
_SEIZE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""

_RELEASE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1], KEYS[2])
"""


class SessionLock:
    """Takes the session, keeps it, and takes a new one when it was lost, until stopped."""

    def __init__(
        self,
        *,
        url: str,
        device: str,
        type: str,
        journal: Journal,
        holding: Holding,
        lease_s: float,
        leash: Callable[[float], None],
    ) -> None:
        """`leash` is told until when, by time.monotonic(), what runs may live."""
        self._redis = connect(url, timeout_s=min(_TIMEOUT_S, lease_s / 3))
        self._renew = self._redis.register_script(_RENEW)
        self._keys = [session_key(device), beat_key(device), met_key(device)]
        self._journal = journal
        self._type = type
        self._holding = holding
        self._lease_s = lease_s
        self._leash = leash
        self._renewed_at = 0.0
        self._renewed_by_redis_ms = 0
        self._session: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def current(self) -> str | None:
        """None while this worker is a standby, or cannot tell that it is not.

        The lease is counted here too, on our own clock: a worker that is cut off must not
        believe for longer than the others do.
        """
        session = self._session
        if session is None or time.monotonic() - self._renewed_at > OURS_FOR * self._lease_s:
            return None
        return session

    def start(self, taken: Callable[[], None]) -> None:
        """`taken`, which must not block, is called when a session is ours: it is new, or its
        key had vanished and is back; and again while nobody has heard of it."""
        self._thread = threading.Thread(
            target=self._keep, args=(taken,), name="session", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Lets go of the session, so that whoever comes next need not wait for the lease."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(3 * _TIMEOUT_S + POLL_S)
        session, self._session = self._session, None
        if session is not None:
            try:
                self._redis.eval(_RELEASE, 2, *self._keys[:2], session)
            except (redis.RedisError, OSError):
                logger.warning("the session could not be released; it ends with its lease")
        self._redis.close()

    def _keep(self, taken: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                if not self._acquire():
                    return
                taken()
                self._hold(taken)
                if not self._stopping.is_set():
                    logger.warning("the session is lost; standing by")
            except Exception:
                logger.exception("the session's loop goes on after an error")
                self._stopping.wait(POLL_S)

    def _acquire(self) -> bool:
        """Polls until a session is ours. False: stopped."""
        told = False
        while not self._stopping.is_set():
            try:
                holder = _text(self._redis.get(self._keys[0]))
                free = self._is_former_self(holder) if holder else self._nobody_believes()
                if free and self._take(holder):
                    return True
                if not told:
                    logger.info("standing by: the device has, or just had, an active worker")
                    told = True
            except (redis.RedisError, OSError, JournalError) as error:
                logger.warning("no session yet: %s", error)
            self._stopping.wait(POLL_S)
        return False

    def _nobody_believes(self) -> bool:
        """A key that is not there has expired or was given back, and its holder knows so: unless
        Redis has been restarted or flushed within a lease, and with it forgot a holder that goes
        on until the end of its lease."""
        now, _ = self._redis.time()
        mark = since_key(self._redis.info("server")["run_id"])
        self._redis.set(mark, now, nx=True)
        # Whole seconds: one more makes up for what is cut off.
        return now - int(self._redis.get(mark) or now) > self._lease_s + 1

    def _is_former_self(self, holder: str) -> bool:
        """We hold the journal's lock, so whoever had it before is dead."""
        if holder == self._journal.last_session:
            return True
        raw = self._redis.get(self._keys[1])
        try:
            beat = Beat.model_validate_json(raw) if raw is not None else None
        except ValueError:
            return False
        # A beat outlives its session by seconds, so it may be of somebody else's.
        return beat is not None and (beat.session, beat.journal) == (holder, self._journal.id)

    def _take(self, holder: str | None) -> bool:
        session = str(uuid.uuid4())
        lease_ms = int(self._lease_s * 1000)
        asked_at = time.monotonic()
        # Written down first: a crash between the two must not lock this node out.
        self._journal.remember_session(session)
        if holder is None:
            taken = self._redis.set(self._keys[0], session, nx=True, px=lease_ms)
        else:
            taken = self._redis.eval(_SEIZE, 1, self._keys[0], holder, session, lease_ms)
        if not taken:
            return False
        self._count_from(asked_at)
        self._session = session
        self._beat(session)
        logger.info("session %s taken", session)
        return True

    def _hold(self, taken: Callable[[], None]) -> None:
        """Renews until the session is lost or we stop."""
        session, greeted_at, pause_s = self._session, time.monotonic(), _GREET_AGAIN_S
        assert session is not None
        while not self._stopping.wait(min(self._lease_s / 5, 1.0)):
            verdict = self._beat(session)
            if verdict == _OURS:
                pause_s = _GREET_AGAIN_S
            unheard = verdict == _UNMET and time.monotonic() - greeted_at > pause_s
            if verdict == _RETAKEN or unheard:
                logger.warning("the key of the session had vanished, or its hello did")
                greeted_at, pause_s = time.monotonic(), min(2 * pause_s, _GREET_SELDOM_S)
                taken()
            if verdict == _LOST or self.current() is None:
                self._session = None
                return

    def _beat(self, session: str) -> int | None:
        """None: Redis did not answer."""
        window, idle_s = self._holding.look()
        beat = Beat(
            type=self._type,
            session=session,
            journal=self._journal.id,
            window=window,
            idle_s=idle_s,
        )
        asked_at = time.monotonic()
        args: list[str | int] = [
            session,
            int(self._lease_s * 1000),
            beat.model_dump_json(),
            BEAT_TTL_MS,
            self._renewed_by_redis_ms,
        ]
        try:
            verdict, now_ms = self._renew(keys=self._keys, args=args)
        except (redis.RedisError, OSError) as error:
            logger.warning("no heartbeat: %s", error)
            return None
        if verdict != _LOST:
            self._renewed_by_redis_ms = int(now_ms)
            self._count_from(asked_at)
        return int(verdict)

    def _count_from(self, asked_at: float) -> None:
        # First the leash: nobody may count on a lease that it has not heard of.
        self._leash(asked_at + LEASHED_FOR * self._lease_s)
        self._renewed_at = asked_at


def _text(value: bytes | str | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
