"""The assets: a section's own are in its folder, and every icon that is named is a file."""

import re
from pathlib import Path

import pytest

from dashboard.pages import discovery

ASSETS = Path(discovery.__file__).parents[1] / "assets"
SHARED = sorted(file for file in (ASSETS / "core").iterdir() if file.suffix in {".js", ".css"})


@pytest.mark.parametrize("file", SHARED, ids=lambda file: file.name)
def test_a_shared_file_names_no_section(file: Path) -> None:
    code = re.sub(r"/\*.*?\*/|//.*", "", file.read_text(), flags=re.DOTALL)
    assert [name for name in discovery.sections() if name in code] == []


def test_every_icon_that_is_named_is_a_file() -> None:
    named = [section.icon for section in discovery.sections().values()]
    named += [page.ICON for page in discovery.listed_pages() if hasattr(page, "ICON")]
    style = (ASSETS / "core/page.css").read_text()
    named += [address.removesuffix(".svg") for address in re.findall(r"url\('/assets/([^']+)'\)", style)]
    assert len(named) > 5
    assert [name for name in named if not (ASSETS / f"{name}.svg").exists()] == []


def test_the_folders_are_the_shared_one_and_those_of_pages() -> None:
    folders = {folder.name for folder in ASSETS.iterdir() if folder.is_dir()}
    assert folders <= {"core", "health", *discovery.sections()}
