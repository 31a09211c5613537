"""What the devices did before anybody came to look: so that their lanes have a past."""

import time
from collections.abc import Mapping
from itertools import count
from typing import Final

from holdfast import Batch, Client

from orchestrator.demo.play import scan
from orchestrator.demo.problem import build_sequence
from schemas.words import Role
from tests.portal.people import OUTSIDER, User
from tests.portal.scene import NAMES, nitrogen, quenched
from tests.submit.dev import Dev

LASTS_S: Final = 300.0
WITHIN_S: Final = 90.0


def morning(dev: Dev, people: Mapping[str, User]) -> None:
    """Batches of two projects on every device, with pauses between them."""
    ends_at = time.monotonic() + LASTS_S
    member, owner, stranger = (
        Client(dev.base_url, people[who].api_key) for who in (Role.MEMBER, Role.OWNER, OUTSIDER)
    )
    with member, owner, stranger:
        for number in count():
            if time.monotonic() > ends_at:
                return
            someone = stranger if number % 3 == 2 else member
            working = [
                ringed(someone, number),
                quenched(owner, NAMES[number % len(NAMES)], runs=20, jobs=4 + 5 * (number % 3)),
            ]
            if number % 2:
                working.append(bonded(member, number))
            for batch in working:
                batch.wait(timeout=WITHIN_S)
            time.sleep(3 * number % 8)


def ringed(client: Client, number: int) -> Batch:
    jobs = scan() * (6 + 7 * (number % 3))
    return client.create_batch("EMU_FREE", jobs, sequence=build_sequence(), name="Ring of six")


def bonded(client: Client, number: int) -> Batch:
    lengths = [round(0.9 + n * 0.005, 4) for n in range(60 + 20 * (number % 3))]
    jobs = [{"payload": nitrogen(length)} for length in lengths]
    return client.create_batch("XTB", jobs, name="N₂, potential curve")
