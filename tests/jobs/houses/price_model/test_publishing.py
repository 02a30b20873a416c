"""Publishing a price model under SIGKILL at every step, and under a reader that never stops."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.houses.price_model import export
from jobs.houses.price_model.pricer import Pricer
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.registry import Registry
from lakehouse.settings import ROOT
from tests.jobs.houses.price_model import fitting

# The steps of the second publication in their order; whether v0002 is there, and whether it is live, when killed there.
STEPS = {
    "written:1": (False, False),
    "written:2": (False, False),
    "written:3": (False, False),
    "model.summed:2": (False, False),
    "model.sealed:2": (False, False),
    "model.named:2": (True, False),
    "model.kept:2": (True, False),
    "model.verified:2": (True, False),
    "aside.registry.json:0": (True, False),
    "replaced.registry.json:0": (True, True),
    "model.switched:2": (True, True),
}
# Publishes what v0001 holds as the next version, file by file.
PUBLISH = """
import shutil, sys
from jobs.houses.schema import PRICE_MODEL
from lakehouse.core import kill_points
from lakehouse.models.registry import Registry
registry = Registry(PRICE_MODEL)
live = registry.path(registry.live())
for _ in range(int(sys.argv[1])):
    with registry.aside() as folder:
        for at, name in enumerate(["export.json", "judged.json", "houses.npz"], 1):
            shutil.copy(live / name, folder)
            kill_points.point("written", at)
        version = registry.keep(folder, registry.manifest("v0001"))
    registry.switch(version, "the next")
    print(version, flush=True)
"""


@pytest.fixture
def registry(lake: Path) -> Registry:
    """v0001 is live."""
    found = Registry(PRICE_MODEL)
    fitting.publish(found)
    return found


def publish(count: int = 1, fault: str = "") -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PUBLISH, str(count)]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "LAKE_FAULT": fault}, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("fault", STEPS)
def test_a_publication_killed_at_any_step_leaves_a_whole_model_live(registry: Registry, fault: str) -> None:
    is_kept, live = STEPS[fault]
    assert publish(fault=fault).wait(60) == -9
    assert [found.version for found in registry.versions()] == (["v0001", "v0002"] if is_kept else ["v0001"])
    assert all(found.outcome == "published" for found in registry.versions())
    assert Pricer().model().version == registry.live() == ("v0002" if live else "v0001")
    registry.verify(Pricer().model().version)
    publisher = publish()
    assert publisher.communicate(timeout=60)[0].strip() == ("v0003" if is_kept else "v0002")
    assert Pricer().model().version == ("v0003" if is_kept else "v0002")


def test_the_steps_are_all_there_are(registry: Registry) -> None:
    """Every point that publishing crosses is killed at above."""
    code = "from lakehouse.core import kill_points; crossed = []\n"
    code += "kill_points.point = lambda name, n: crossed.append(f'{name}:{n}')"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{PUBLISH}\nimport json; print(json.dumps(crossed))", "1"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == [*STEPS]


def test_a_reader_never_fails_and_never_goes_back_during_50_publications(registry: Registry) -> None:
    publisher = publish(50)
    pricer, seen, loads = Pricer(registry), ["v0001"], 0
    while publisher.poll() is None:
        seen.append(pricer.model().version)
        Pricer(registry).model()  # reads everything again
        seen += [str(registry.live()) for _ in range(300)]
        loads += 1
    assert publisher.returncode == 0
    assert seen == sorted(seen)
    assert pricer.model().version == "v0051"
    assert len({*seen}) > 3, f"{loads} loads met too few of the switches"


@pytest.mark.parametrize("name", [export.EXPORT, export.HOUSES, "manifest.json"])
def test_a_flipped_byte_in_the_live_version_is_named_and_never_scored(registry: Registry, name: str) -> None:
    file = registry.path("v0001") / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    command = [str(Path(sys.executable).parent / "lake"), "price", str(fitting.real_houses().ids[10])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr.startswith(f"Error: {file} ")
    assert done.stderr.count("\n") == 1
