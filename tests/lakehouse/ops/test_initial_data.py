"""A lake that begins without the data that comes with a domain, and goes on so."""

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.houses.schema import DOMAIN
from lakehouse.errors import RefusedError, UsageError
from lakehouse.ops import initial_data
from tests.lakehouse.cli.test_main import run


def test_a_lake_that_began_empty_goes_on_so_without_being_asked(lake: Path) -> None:
    assert initial_data.jobs(DOMAIN) == DOMAIN.prepare
    initial_data.begin_empty(DOMAIN)
    assert initial_data.jobs(DOMAIN) == DOMAIN.prepare_empty != DOMAIN.prepare
    initial_data.ended(DOMAIN)
    assert initial_data.is_empty(DOMAIN)
    assert initial_data.jobs(DOMAIN) == ()  # once: what was loaded since is the user's own
    initial_data.begin_empty(DOMAIN)  # asked for again


def test_a_beginning_that_was_refused_was_none_but_one_that_broke_off_was(lake: Path) -> None:
    initial_data.begin_empty(DOMAIN)
    (lake / "data/houses/to_stream.parquet").touch()
    initial_data.begin_empty(DOMAIN)  # broken off, tried again
    initial_data.ended(DOMAIN, refused=True)
    assert not initial_data.is_empty(DOMAIN)
    (lake / "data/houses/to_stream.parquet").unlink()
    initial_data.begin_empty(DOMAIN)
    initial_data.ended(DOMAIN)
    initial_data.ended(DOMAIN, refused=True)  # of a later start
    assert initial_data.is_empty(DOMAIN)


def test_a_lake_with_the_committed_sales_cannot_begin_empty(lake: Path) -> None:
    (lake / "data/houses").mkdir(parents=True)
    (lake / "data/houses/manifest.json").touch()
    done = run(lake, "up", "houses", "--empty")
    assert done.returncode == RefusedError.exit_code
    assert done.stderr.startswith(
        "Error: House sales cannot begin with --empty: this lake already has initial data, in "
    )
    assert "LAKE_VAR=<another folder> lake up houses --empty" in done.stderr
    assert [file.name for file in (lake / "data/houses").iterdir()] == ["manifest.json"]


def test_a_domain_that_brings_no_data_says_so(lake: Path) -> None:
    done = run(lake, "up", "production", "--empty")
    assert done.returncode == UsageError.exit_code
    assert "Production line (production) cannot begin with --empty: no data comes with it." in done.stderr
    with pytest.raises(UsageError):
        initial_data.begin_empty(replace(DOMAIN, prepare_empty=()))
    assert not (lake / "data").exists()
