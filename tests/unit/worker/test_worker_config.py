from pathlib import Path

import pytest

from workers.config import BadSettings, Settings

GOOD = {"HOLDFAST_BROKER_URL": "redis://127.0.0.1:6379/0", "HOME": "/nowhere"}


def test_every_mistake_is_reported_at_once() -> None:
    env = {"HOLDFAST_LEASE_S": "soon", "HOLDFAST_LOG_LEVEL": "loud", "HOME": "/nowhere"}
    with pytest.raises(BadSettings) as caught:
        Settings.from_env(env, device="a b")
    assert len(caught.value.problems) == 4


def test_each_device_has_a_journal_of_its_own() -> None:
    settings = Settings.from_env(GOOD, device="emu-a")
    assert settings.journal_dir == Path("/nowhere/.local/state/holdfast/emu-a")


def test_a_wall_limit_of_zero_is_none() -> None:
    assert Settings.from_env({**GOOD, "HOLDFAST_JOB_WALL_S": "0"}, device="d").job_wall_s is None


def test_a_password_is_not_repeated_in_a_mistake() -> None:
    with pytest.raises(BadSettings) as caught:
        Settings.from_env({"HOLDFAST_BROKER_URL": "amqp://u:secret@h", "HOME": "/h"}, device="d")
    assert "secret" not in str(caught.value)
