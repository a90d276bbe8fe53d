"""A machine is named so that two that run at unlike speed are not taken for one."""

import platform

import pytest

from bench.records import hardware

ANONYMOUS = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: AMD EPYC\nstepping\t: 1\n"


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (ANONYMOUS.format(family=25, model=17), "AMD EPYC (family 25, model 17)"),
        (ANONYMOUS.format(family=26, model=2) * 2, "AMD EPYC (family 26, model 2)"),
        ("model name\t: Some Board Rev 2\n", "Some Board Rev 2"),
        ("", platform.processor() or platform.machine()),
    ],
)
def test_generations_of_one_name_are_told_apart(told: str, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hardware, "_text", lambda path: told if path == "/proc/cpuinfo" else "")
    assert hardware.processor("cpu") == name
    assert hardware.speed("cpu")["processor"] == name
