"""`lake new`: which names it takes, what it writes, and that it changes nothing that is there."""

import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.errors import UsageError
from lakehouse.scaffold import new_domain, uses_of_name
from lakehouse.settings import ROOT

TREES = {"jobs", "dashboard/pages", "dashboard/assets", "data", "tests", "conf", "docker", "docs/domains"}


@pytest.mark.parametrize("name", ["parcels", "parcels_2", "line4049", "qz", "a" * 20])
def test_plain_names_are_taken(name: str) -> None:
    new_domain.check_name(name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Parcels", "lower-case"),
        ("2parcels", "begins with a letter"),
        ("a", "2 to 20"),
        ("a" * 21, "2 to 20"),
        ("class", "no word of Python"),
        ("par-cels", "lower-case"),
        ("../parcels", "lower-case"),
        ("houses", "is there already"),
        ("health", "uses that name"),
        ("history", "uses that name"),
    ],
)
def test_other_names_are_refused_with_the_rule(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        new_domain.check_name(name)


def test_it_writes_under_the_domains_own_name_only(tmp_path: Path) -> None:
    written = new_domain.write("parcels", tmp_path)
    assert len(written) > 10
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()) == sorted(written)
    assert all("parcels" in str(path) and str(path).startswith(tuple(TREES)) for path in written)
    assert not [path for path in written if "example" in (tmp_path / path).read_text().lower()]


@pytest.mark.parametrize("name", ["qz", "q" * 20])
def test_it_is_formatted_whatever_the_length_of_the_name(tmp_path: Path, name: str) -> None:
    new_domain.write(name, tmp_path)
    ruff = [sys.executable, "-m", "ruff"]
    plain = ["--no-cache", "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
    for command in (["format", "--diff"], ["check", "--select", "E501"]):
        done = subprocess.run([*ruff, *command, *plain], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_there_stays(tmp_path: Path) -> None:
    mine = tmp_path / "docs/domains/parcels.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UsageError, match=r"there already: docs/domains/parcels\.md\. Choose another name\."):
        new_domain.write("parcels", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "mine"


def test_a_name_in_use_is_found_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "conf/parcels").mkdir(parents=True)
    (tmp_path / "conf/one.toml").write_text("a = 1\nb = 'parcels'\n")
    (tmp_path / "conf/parcels/two.toml").write_text("b = 'parcels'\n")  # the domain's own
    assert list(uses_of_name.uses("parcels", tmp_path)) == ["conf/one.toml:2"]
    assert not list(uses_of_name.uses("parcels", ROOT))
