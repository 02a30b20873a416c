"""A setting that is mistyped is refused, wherever it stands: passed over, the default would be used in silence."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse import setting_names
from lakehouse.errors import UsageError
from lakehouse.settings import ROOT, settings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("LAKE_KAFKA_PASWORD_FILE", "Did you mean LAKE_KAFKA_PASSWORD_FILE?"),
        ("LAKE_BOOTSTRAP_SERVER", "Did you mean LAKE_BOOTSTRAP_SERVERS?"),
        ("LAKE_CHEESE", "Unset it; settings: "),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_the_nearest(given: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"no setting {given}, .*{re.escape(said)}"):
        setting_names.check_names(["PATH", "LAKE_VAR", given])
    setting_names.check_names(["PATH", "SALT_LAKE_CITY", *setting_names.known_names(), "LAKE_REQUIRE_BROWSER"])


def test_each_name_that_stands_anywhere_is_known() -> None:
    """What code, scripts, documents and settings say of a variable is so."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    ours = [ROOT / name for name in listed.split("\0") if name and not name.startswith(("tests/", "data/"))]
    for file in ours:
        if file.suffix in (".py", ".sh", ".md", ".toml", ".yaml", "") and file.is_file():
            found = re.findall(r"\bLAKE_[A-Z_]*[A-Z]\b", file.read_text(errors="replace"))
            setting_names.check_names(found)


@pytest.mark.parametrize(
    "command",
    [
        [str(Path(sys.executable).parent / "lake"), "status"],
        [sys.executable, "-m", "lakehouse.spark.submit", "jobs/houses/train.py"],
        [sys.executable, "-m", "dashboard.app", "--port", "0"],
        [str(Path(sys.executable).parent / "lake"), "nightly", "houses"],
    ],
)
def test_every_way_in_refuses_it(lake: Path, command: list[str]) -> None:
    for name, value, said in (
        ("LAKE_DASHBORD_PORT", "1", "Error: There is no setting LAKE_DASHBORD_PORT"),
        ("LAKE_DASHBOARD_PORT", "many", "Error: The setting dashboard_port cannot be used: input should be"),
    ):
        env = {**os.environ, "LAKE_VAR": str(lake), name: value}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr[: len(said)]) == (2, said)
        assert "Traceback" not in done.stderr


def test_a_mistyped_name_in_the_file_is_refused_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "platform.toml"
    file.write_text("kafka_heep = '1g'\n")
    monkeypatch.setitem(settings.__wrapped__.__globals__["Settings"].model_config, "toml_file", file)
    settings.cache_clear()
    try:
        with pytest.raises(UsageError, match=r"no setting kafka_heep, which .* Did you mean kafka_heap\?"):
            settings()
    finally:
        monkeypatch.undo()
        settings.cache_clear()
