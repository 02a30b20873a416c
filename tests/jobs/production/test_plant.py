"""The plant's file: what it may say, and that what it may not is named in one sentence."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.production import produce, recompute, stream
from jobs.production.plant import plant, read_plant
from jobs.production.versions import Versions, keep_versions, of_lake
from lakehouse.errors import LakeError, UsageError
from lakehouse.ops import launch
from lakehouse.settings import ROOT, settings
from lakehouse.streaming import checkpoints

TODAY = (ROOT / "conf/production.toml").read_text()
ZONE = 'time_zone: must be the name of a time zone such as "Europe/Berlin", '
BROKEN = [
    ("target = 1200", "target = -1", "target: input should be greater than 0, got -1"),
    ("target = 1200", 'target = "many"', "target: input should be a valid integer, got 'many'"),
    ("target = 1200", "", "target is missing"),
    ("target = 1200", "target = 1200\ntargets = 3", "there is no setting targets"),
    ("06:00", "6", "day_starts: must be a time of day as HH:MM, got '6'"),
    ("06:00", "24:00", "day_starts: must be a time of day as HH:MM, got '24:00'"),
    (
        '"UTC"',
        '"Mars/Olympus"',
        "time_zone: must be the name of a time zone such as \"Europe/Berlin\", got 'Mars/Olympus'",
    ),
    ('"UTC"', '"../UTC"', "time_zone: must be the name of a time zone such as \"Europe/Berlin\", got '../UTC'"),
    ('"UTC"', '"America"', "time_zone: must be the name of a time zone such as \"Europe/Berlin\", got 'America'"),
    ('"UTC"', '"localtime"', "time_zone: must not depend on the machine, got 'localtime'"),
    ("\nBODY", "\nline", "zones.line: must not be 'line': that is the whole line, got 'line'"),
    ("\nBODY", '\n".."', "zones...: must not be '..': choose a name, got '..'"),
    ("\nBODY", '\n" "', "zones. : must be a printable text of 1 to 128 characters, got ' '"),
    ('"B10"', '"B\\t10"', "zones.BODY.0: must be a printable text of 1 to 128 characters, got 'B\\t10'"),
    ('"B10"', "1.5", "zones.BODY.0: input should be a valid string, got 1.5"),
    ('["unit_defect"]', '["unit_collection_point"]', "keys must be distinct, twice there is 'unit_collection_point'"),
    ('["unit_defect"]', "[]", "keys.defect: tuple should have at least 1 item after validation, not 0, got []"),
    ("[zones]", "[zones", "is not TOML"),
]


@pytest.mark.parametrize(("old", "new", "said"), BROKEN)
def test_what_no_plant_can_be_is_named_with_file_and_value(conf: Path, old: str, new: str, said: str) -> None:
    assert old in TODAY
    conf.write_text(TODAY.replace(old, new))
    with pytest.raises(UsageError, match=re.escape(said)) as error:
        plant()
    assert str(conf) in str(error.value)
    assert "LAKE_DOMAIN_CONF" in error.value.fix


@pytest.mark.parametrize("start", [lambda: launch.up(["production"], False), stream.main, recompute.main, produce.main])
def test_every_start_looks_at_the_file_first(conf: Path, start: Callable[[], None]) -> None:
    conf.write_text(TODAY.replace("06:00", "6"))
    with pytest.raises(UsageError, match="day_starts"):
        start()


def test_a_file_that_is_not_there_is_named(conf: Path) -> None:
    conf.unlink()
    with pytest.raises(UsageError, match=r"production\.toml cannot be read: No such file"):
        plant()


def test_a_number_is_the_text_of_its_digits_and_a_point_of_two_zones_is_of_none(conf: Path) -> None:
    conf.write_text(TODAY + '17 = [45, "B10"]\n"Nº 2 #/ñ [a]" = [45, 46]\n')
    assert [*plant().zones][-2:] == ["17", "Nº 2 #/ñ [a]"]
    assert plant().zones["17"] == ("45", "B10")
    assert {point: plant().homes.get(point) for point in ("B10", "45", "46", "B20")} == {
        "B10": None,
        "45": None,
        "46": "Nº 2 #/ñ [a]",
        "B20": "BODY",
    }


def test_a_key_may_come_in_json_quotes(conf: Path) -> None:
    conf.write_text(TODAY.replace('["unit_defect"]', '["unit_defect", "daño"]'))
    quoted = [b"unit_defect", b'"unit_defect"', "daño".encode(), b'"da\\u00f1o"', '"daño"'.encode()]
    assert plant().kinds == {"pass": [b"unit_collection_point", b'"unit_collection_point"'], "defect": quoted}


def changed(conf: Path, **replaced: str) -> Versions:
    """What a start reads with after the file has changed."""
    for old, new in replaced.items():
        conf.write_text(conf.read_text().replace(old, new))
    read_plant.cache_clear()
    return keep_versions("a topic")


def reads_to(query: str, ends: dict[int, int]) -> None:
    """A checkpoint whose newest batch ends there."""
    folder = checkpoints.path("production", query) / "offsets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "metadata").write_text('{"id": "g"}')
    offsets = ",".join(f'"{partition}":{end}' for partition, end in ends.items())
    (folder / "0").write_text(f'v1\n{{"batchWatermarkMs":0}}\n{{"production":{{{offsets}}}}}')


def test_a_changed_plant_holds_from_where_the_further_query_has_read_to(conf: Path) -> None:
    assert len(changed(conf).known) == 1
    reads_to("history", {0: 10, 1: 5})
    reads_to("totals", {0: 12, 1: 4})
    assert len(changed(conf, **{"target = 1200": "target = 9", "06:00": "07:00"}).known) == 1  # no rule
    later = changed(conf, TEST="REST")
    assert ["TEST" in later.at(*place).zones for place in ((0, 11), (0, 12), (1, 4), (1, 5), (2, 0))] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert of_lake() == later == changed(conf)


def test_a_topic_that_was_made_again_is_read_with_the_plant_of_today(conf: Path) -> None:
    changed(conf)
    reads_to("history", {0: 10})
    changed(conf, TEST="REST")
    again = keep_versions("another topic")
    assert "REST" in again.at(0, 0).zones
    assert len(again.known) == 1


def test_what_is_known_of_earlier_plants_is_not_passed_over_when_it_cannot_be_read(conf: Path) -> None:
    changed(conf)
    (settings().lake / "production/_plants.json").write_text("{")
    with pytest.raises(LakeError, match="restore it from a backup"):
        of_lake()


def test_while_a_checkpoint_cannot_say_how_far_it_has_read_the_rules_stay(conf: Path) -> None:
    changed(conf)
    reads_to("history", {0: 10})
    file = checkpoints.path("production", "history") / "offsets/0"
    whole = file.read_text()
    file.write_text(whole[:-5])
    assert len(changed(conf, TEST="REST").known) == 1
    file.write_text(whole)
    assert "REST" in changed(conf).at(0, 10).zones
