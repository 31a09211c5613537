"""`verify` and a batch on several devices: `joined` tells of its seats but the first."""

from pathlib import Path

import psycopg
import pytest

from orchestrator.proof.verify import verify
from orchestrator.services.core import Core
from tests.integration.proven import NO_PATIENCE, named, rows
from tests.integration.puppet import new_batch
from tests.integration.test_verify_clean import check, turns
from tests.integration.witnessed import Witnessed

FENCE = (1, "a fence is of one batch")
SEAT = (1, "who ran had the seat")


@pytest.mark.parametrize(("fence", "red"), [(99, {FENCE, SEAT}), (0, {SEAT})])
def test_a_further_lane_that_joined_under_another_fence_is_found(
    core: Core,
    sql: psycopg.Connection[tuple[object, ...]],
    tmp_path: Path,
    fence: int,
    red: set[tuple[int, str]],
) -> None:
    devices = [Witnessed.online(core, name, tmp_path / "journals") for name in ("a", "b")]
    new_batch(core, 6, lanes=2)
    turns(*devices)
    check(core, *devices, runs=6)
    sql.execute("SET session_replication_role = replica")
    forged = sql.execute(
        "UPDATE event SET detail = json_build_object('fence', %s::int) WHERE kind = 'joined'",
        (fence,),
    )
    assert forged.rowcount == 1
    given = core.settings
    found = verify(given.database_url, given.store_url, s3=given.s3, patience=NO_PATIENCE)
    assert named(found.violations) == red
    (row,) = rows(found.violations, SEAT[1])
    assert (row["device"], row["fence"], row["seated"]) == ("b", 1, None)
