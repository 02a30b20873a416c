"""`lake new` in a copy of the tree: the made domain passes its tests and runs, with no edit elsewhere."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from lakehouse.settings import ROOT
from tests.e2e.running import keep_screenshot, lake_up, rows_of, running, wait_for

pytestmark = pytest.mark.e2e
NAME = "parcels"


def run(tree: Path, *command: str, env: dict[str, str] | None = None) -> str:
    """The output of a command in the copy; fails with it."""
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-5000:]}{done.stderr[-5000:]}"
    return done.stdout


def copy_of(root: Path, tree: Path) -> None:
    """What git has of the tree, with an environment of its own that imports from the copy."""
    listed = run(root, "git", "ls-files", "-z").split("\0")
    for file in filter(None, listed):
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_bytes((root / file).read_bytes())
        (tree / file).chmod((root / file).stat().st_mode)
    (tree / "jars").symlink_to(root / "jars")
    run(tree, sys.executable, "-m", "venv", "--without-pip", str(tree / ".venv"))
    [packages] = (tree / ".venv/lib").glob("python*/site-packages")
    packages.joinpath("copy.pth").write_text(f"{tree}\n{sysconfig.get_path('purelib')}\n")
    for script in ("lake", "lint-imports"):
        text = (Path(sys.executable).parent / script).read_text()
        (tree / ".venv/bin" / script).write_text(text.replace(str(root / ".venv"), str(tree / ".venv")))
        (tree / ".venv/bin" / script).chmod(0o755)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with a new domain."""
    tree = tmp_path_factory.mktemp("copy") / "tree"
    copy_of(ROOT, tree)
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        run(tree, "git", *command)
    run(tree, ".venv/bin/lake", "new", NAME)
    return tree


def test_it_is_under_its_own_name_only_and_passes_its_tests(tree: Path) -> None:
    changed = run(tree, "git", "status", "--porcelain", "--untracked-files=all").splitlines()
    assert changed and all(line.startswith("?? ") and NAME in line for line in changed)
    run(tree, "git", "add", "-A")
    run(tree, ".venv/bin/python", "-m", "ruff", "check", "--no-cache", ".")
    run(tree, ".venv/bin/python", "-m", "ruff", "format", "--no-cache", "--check", ".")
    run(tree, ".venv/bin/lint-imports", "--no-logo", "--no-cache")
    run(tree, ".venv/bin/python", "-m", "mypy")
    # How CI starts its run is no matter of this one: its environment is ours.
    run(
        tree,
        ".venv/bin/python",
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_structure.py"),
        *(f"tests/jobs/{NAME}", f"tests/dashboard/pages/{NAME}", "tests/test_domain_documents.py", "tests/docker"),
        env={name: value for name, value in os.environ.items() if name != "CI"},
    )


def test_it_runs_its_page_shows_it_and_its_audit_is_clean(tree: Path, browser: Browser) -> None:
    lake = str(tree / ".venv/bin/lake")
    with lake_up(tree.parent / "var", NAME, lake=lake) as platform:
        platform.domain = NAME
        wait_for(lambda: rows_of(platform, "history"), 120, "the first events in the history")
        page = browser.new_page()
        page.goto(f"{running(platform)['dashboard_url']}/{NAME}")
        expect(page.locator(f"#{NAME}-windows")).to_have_attribute("data-state", "ready", timeout=60_000)
        expect(page.locator(f"#{NAME}-windows tbody tr").first).to_contain_text("thing-")
        expect(page.locator(".tabs, nav").first).to_contain_text("Parcels")
        keep_screenshot(page, "new-domain")
        page.close()
        run(tree, lake, "audit", NAME, env=platform.env)  # exit code 0: clean
