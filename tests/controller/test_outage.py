"""A controller whose server does not take what it has to say."""

from pathlib import Path

from tests.controller.machine import machine
from tests.controller.standin import Answer, standing_in
from tests.waiting import until
from workers.controller.joblog import JobLog
from workers.controller.link import Link


def test_a_controller_outlives_a_server_that_takes_no_end(tmp_path: Path) -> None:
    """Also where the server says meanwhile that the job is another's now: nothing runs here that
    would have to be killed, nor does the lane stand still."""
    refused = 0

    def odd(path: str, body: bytes) -> Answer | None:
        nonlocal refused
        if not path.endswith("/complete") or refused >= 6:
            return None
        refused += 1
        return 503, {}

    with standing_in() as (standin, url), machine(tmp_path / "here", url) as here:
        standin.odd = odd
        config = here.folder / "dgx" / "config.json"
        config.parent.mkdir(parents=True)
        config.write_text('{"kill_grace_s": 0}')
        standin.offer("a", {"do": "sleep", "s": 0})
        process = here.run("dgx")
        until(lambda: refused > 0, 20)
        standin.verdicts["a.1"] = "lost"
        until(lambda: "a.1" in standin.ends or process.poll() is not None, 60)
        assert (process.poll(), standin.ends["a.1"]["outcome"]) == (None, "done")


def test_a_log_that_nobody_takes_any_more_does_not_fill_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "lane-0.log"
    with standing_in() as (standin, url):
        standin.odd = lambda path, body: (413, {}) if path.endswith("/logs") else None
        link = Link(url, "ct_0")
        log = JobLog(file, link, "/assignments/a.1/logs", 1, 65536)
        for text in (b"x", b"x" * 40 * 2**20):
            with file.open("ab") as job:
                job.write(text)
            log.ship()
        link.close()
    assert file.stat().st_size == 0
