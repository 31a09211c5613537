import pytest

from orchestrator.dev import DevError, Device, parse_devices


def test_no_device_given_means_one_emulator() -> None:
    assert parse_devices([]) == (Device(name="emu-a", type="EMU_FREE", executor="pulser"),)


def test_an_executor_may_be_named() -> None:
    assert parse_devices(["q-1:FRESNEL:scripted"])[0].executor == "scripted"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("emu-a", "expected NAME:TYPE"),
        ("a:B:c:d", "no executor 'c'"),
        ("a:EMU_FREE:pulser:d", "option 'd': give NAME=VALUE; pulser has modulation"),
        ("Emu:EMU_FREE", "NAME 'Emu'"),
        (":EMU_FREE", "NAME ''"),
        ("emu-a:emu", "name its executor"),
        ("emu-a:2emu:pulser", "TYPE '2emu'"),
        ("q:FRESNEL", "name its executor"),
        ("q:FRESNEL:", "EXECUTOR ''"),
    ],
)
def test_a_malformed_device_is_refused_with_a_reason(text: str, said: str) -> None:
    with pytest.raises(DevError, match=said):
        parse_devices([text])


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(DevError, match=r"(?s)bad.*a: the name is given twice"):
        parse_devices(["bad", "a:EMU_FREE", "a:EMU_TN"])
