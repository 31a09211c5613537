"""What a worker promises the control side, over a real broker."""

import hashlib
import json
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import boto3
import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import from_url

from schemas.objects import S3, store_options
from schemas.task import Canceled, Done, Failed, Lost, Result, Skipped, permit_key
from tests.integration.worker_stack import Stack, broker, fresh_stack, window
from tests.waiting import until
from workers.executors.scripted import history

ECHO = {"do": "echo"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
def stack(url: str, tmp_path: Path) -> Iterator[Stack]:
    yield from fresh_stack(url, tmp_path)


def test_a_window_runs_and_its_outcomes_come_to_the_control_queue(stack: Stack) -> None:
    stack.worker()
    stack.send(window(stack.wait_session(), 1, ECHO, {"do": "fail", "reason": "cold"}))
    first, second = stack.settled(1).outcomes
    assert isinstance(first, Done)
    assert first.result.value == {"echo": ECHO}
    assert isinstance(second, Failed)
    assert second.reason == "cold"


def test_a_worker_says_hello_with_its_session_and_journal(stack: Stack) -> None:
    stack.worker()
    session = stack.wait_session()
    until(lambda: stack.hellos(), 10)
    (hello,) = stack.hellos()
    assert (hello.device, hello.type, hello.session) == ("d1", "SCRIPTED", session)
    assert "scripted" in hello.executors


def test_a_job_whose_permit_is_gone_never_reaches_the_device(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "log"
    stack.worker()
    sent = window(stack.wait_session(), 1, {**ECHO, "log": str(log)}, {**ECHO, "log": str(log)})
    stack.redis.set(permit_key("w1-1", 1), "1")
    stack.send(sent, permits=False)
    assert stack.settled(1).outcomes[1] == Skipped(job="w1-2", run=1, gone=True)
    assert {line["job"] for line in history(log)} == {"w1-1"}


def test_a_redelivered_window_runs_nothing_twice(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "log"
    stack.worker()
    sent = window(stack.wait_session(), 1, {**ECHO, "log": str(log)})
    stack.send(sent)
    first = stack.settled(1)
    stack.heard.clear()
    stack.send(sent)
    assert stack.settled(1) == first
    assert len(history(log)) == 2


def test_a_running_job_is_shown_as_running(stack: Stack) -> None:
    stack.worker()
    stack.send(window(stack.wait_session(), 1, {"do": "noop"}, {"do": "sleep", "s": 0.5}))
    stack.settled(1)
    assert [began.job for began in stack.began()] == ["w1-2"]


def test_an_interrupt_ends_a_job_that_ignores_signals_within_a_second(stack: Stack) -> None:
    stack.worker()
    stack.send(window(stack.wait_session(), 1, {"do": "ignore-signals", "s": 60}, ECHO))
    until(lambda: stack.began(), 10)
    asked = time.time()
    stack.interrupt("w1-1")
    canceled, after = stack.settled(1).outcomes
    assert isinstance(canceled, Canceled)
    assert canceled.ended_at - asked < 1.5
    assert isinstance(after, Done)


def test_a_job_over_the_workers_wall_limit_fails(stack: Stack) -> None:
    stack.worker(HOLDFAST_JOB_WALL_S="0.5")
    stack.send(window(stack.wait_session(), 1, {"do": "sleep", "s": 60}))
    (outcome,) = stack.settled(1).outcomes
    assert isinstance(outcome, Failed)
    assert outcome.reason == "exceeded its wall limit of 0.5 s"


def test_a_segfault_fails_its_job_and_the_next_one_runs(stack: Stack) -> None:
    stack.worker()
    stack.send(window(stack.wait_session(), 1, {"do": "segfault"}, ECHO))
    broken, after = stack.settled(1).outcomes
    assert isinstance(broken, Failed)
    assert broken.reason == "the executor process died (signal 11, SIGSEGV)"
    assert isinstance(after, Done)


def test_a_large_result_goes_to_a_folder(stack: Stack) -> None:
    stack.worker()
    stack.send(window(stack.wait_session(), 1, {"do": "big", "bytes": 400_000}))
    (outcome,) = stack.settled(1).outcomes
    assert isinstance(outcome, Done)
    assert_stored(outcome.result, (stack.folder / "store").as_uri(), S3())


def test_a_large_result_goes_to_a_server_that_speaks_s3(stack: Stack) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        s3 = S3(endpoint=f"http://{host}:{port}", access_key="k", secret_key="s")
        boto3.client(
            "s3",
            endpoint_url=s3.endpoint,
            aws_access_key_id="k",
            aws_secret_access_key="s",
            region_name="us-east-1",
        ).create_bucket(Bucket="results")
        stack.worker(
            HOLDFAST_STORE_URL="s3://results/holdfast",
            HOLDFAST_S3_ENDPOINT=str(s3.endpoint),
            HOLDFAST_S3_ACCESS_KEY="k",
            HOLDFAST_S3_SECRET_KEY="s",
        )
        stack.send(window(stack.wait_session(), 1, {"do": "big", "bytes": 400_000}))
        (outcome,) = stack.settled(1).outcomes
        assert isinstance(outcome, Done)
        assert_stored(outcome.result, "s3://results/holdfast", s3)
    finally:
        server.stop()


def test_a_window_of_a_former_session_is_skipped(stack: Stack) -> None:
    stack.worker()
    stack.wait_session()
    stack.send(window("another session", 1, ECHO))
    assert isinstance(stack.settled(1).outcomes[0], Skipped)
    assert stack.redis.exists(permit_key("w1-1", 1))


def test_a_stopped_worker_lets_its_job_finish(stack: Stack) -> None:
    worker = stack.worker()
    stack.send(window(stack.wait_session(), 1, {"do": "sleep", "s": 1}, ECHO))
    until(lambda: stack.began(), 10)
    assert worker.stop() == 0
    finished, left = stack.settled(1).outcomes
    assert isinstance(finished, Done)
    assert isinstance(left, Skipped)


def test_a_job_that_outlives_the_polite_stop_is_lost(stack: Stack) -> None:
    worker = stack.worker(HOLDFAST_STOP_S="0.5")
    stack.send(window(stack.wait_session(), 1, {"do": "ignore-signals", "s": 60}))
    until(lambda: stack.began(), 10)
    worker.stop()
    (outcome,) = stack.settled(1).outcomes
    assert isinstance(outcome, Lost)


def assert_stored(result: Result, url: str, s3: S3) -> None:
    assert result.ref is not None
    text = bytes(obstore.get(from_url(url, **store_options(url, s3)), result.ref).bytes())
    assert (len(text), hashlib.sha256(text).hexdigest()) == (result.size, result.sha256)
    value: Any = json.loads(text)
    assert value == {"big": "x" * 400_000}


def test_a_result_that_is_nested_too_deeply_fails_its_job_and_the_next_one_runs(
    stack: Stack,
) -> None:
    stack.worker()
    nested = {"do": "nest", "levels": 300}
    stack.send(window(stack.wait_session(), 1, nested, {"do": "noop"}))
    failed, done = stack.settled(1).outcomes
    assert isinstance(failed, Failed) and "could not be stored" in failed.reason
    assert isinstance(done, Done)
