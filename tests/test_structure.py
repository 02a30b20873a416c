"""The layout that lets a new domain be a new folder: what each domain has, and where its name may stand.

Which room may import which is in pyproject.toml. What the documents name is there.
"""

import ast
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lakehouse.contract import discovery
from lakehouse.scaffold.uses_of_name import lines_with
from lakehouse.settings import ROOT

REQUIRED = ("schema.py", "transforms.py", "produce.py", "stream.py")
TREES = ("jobs", "dashboard/pages", "data", "tests/jobs", "tests/dashboard/pages")  # a folder of each domain in each
NO_DOMAINS = {"health"}  # folders beside those of the domains
# Files that name a domain though they are none of its own. Tests and documents may: they take it as an example.
MAY_NAME_A_DOMAIN = {
    "Makefile": "`make demo` starts one",
    "conf/platform.toml": "the domains that `lake up` starts by itself; an example in a comment",
    "docker/compose.yaml": "the list of files that it includes",
    "lakehouse/audit/contract.py": "an example in a message",
    "lakehouse/cli/dead_letters.py": "an example in a help text",
    "lakehouse/cli/upkeep.py": "an example in a help text",
    "lakehouse/dead_letters/store.py": "an example in a message",
    "lakehouse/sinks/postgres_login.py": "an example in a message",
}
TEMPLATE = "lakehouse/scaffold/template/"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "docker/README.md", ROOT / "data/README.md"])
OURS = {"lakehouse", "jobs", "dashboard", "tests"}
TEXT_FILES = (".py", ".js", ".css", ".toml", ".xml", ".conf", ".yaml", ".sh", ".in", ".properties", ".ksql", ".md")
# Words that say how a value was come by, not what it is; and longer than the plain ones.
UNCLEAR = re.compile(r"(?<![a-z])(told|held|anew|reach)(?![a-z])", re.IGNORECASE)
STORED_KEYS = ("held_until",)  # of files that earlier versions wrote


def text_files() -> list[str]:
    """Code, configuration and documents of the repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [file for file in listed if file.endswith(TEXT_FILES) or file == "Makefile"]


def imports(file: Path) -> set[str]:
    """Modules of ours that the file imports, by their full names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".", 1)[0] in OURS}


@pytest.mark.parametrize("name", discovery.domains())
def test_a_domain_has_all_its_parts(name: str) -> None:
    places = [ROOT / "jobs" / name / part for part in REQUIRED] + [ROOT / tree / name for tree in TREES]
    places.append(ROOT / "tests/jobs" / name / "suite.py")
    missing = [str(place.relative_to(ROOT)) for place in places if not place.exists()]
    assert not missing, f"domain {name} lacks {', '.join(missing)}"
    loaded = discovery.load(name)
    assert loaded.name == name
    assert all(table.domain == name for table in loaded.tables)
    stored = {table.name for query_tables in loaded.query_tables.values() for table in query_tables.tables}
    assert {*stored, loaded.dead_letters.name} <= {table.name for table in loaded.tables}


@pytest.mark.parametrize("tree", TREES)
def test_each_folder_of_these_trees_is_a_domain(tree: str) -> None:
    folders = {place.name for place in (ROOT / tree).iterdir() if place.is_dir() and place.name != "__pycache__"}
    assert folders - NO_DOMAINS == {*discovery.domains()}


@pytest.mark.parametrize("name", discovery.domains())
def test_no_file_elsewhere_names_a_domain(name: str) -> None:
    others = [file for file in text_files() if not file.endswith(".md") and not file.startswith(("tests/", TEMPLATE))]
    others = [file for file in others if file not in MAY_NAME_A_DOMAIN]
    others = [file for file in others if name not in (*Path(file).parts, Path(file).stem)]
    found = [f"{file}:{line}" for file in others for line in lines_with((ROOT / file).read_text(), name)]
    assert not found, f"{name} is named in {', '.join(found)}"
    assert lines_with(f"the {name} sold\n/api/{name}/1\n'{name}'\n{name}.averages\nx{name}/\n{name}.", name) == [
        2,
        3,
        4,
    ]


def unclear(text: str) -> list[int]:
    """The lines with an unclear word, alone or as a part of a name."""
    for key in STORED_KEYS:
        text = text.replace(f'"{key}"', "")
    return [number for number, line in enumerate(text.splitlines(), 1) if UNCLEAR.search(line)]


def test_no_unclear_word_stands_anywhere() -> None:
    """Not as a name, nor in a docstring, a message, a comment or a document."""
    files = [file for file in text_files() if not file.startswith("tests/test_structure.py")]
    wrong = [f"{file}:{line}" for file in files for line in unclear((ROOT / file).read_text())]
    assert not wrong, f"{UNCLEAR.pattern} in {', '.join(wrong)}: say what the value is, as in `rows`, or `again`"
    assert unclear('told = 1\nis_held_out\nthreshold\nx["held_until"]\nBegins anew.\nforEach\nHELD\n_told') == [
        1,
        2,
        5,
        7,
        8,
    ]


def headings(text: str) -> set[str]:
    """The anchors that a Markdown file has."""
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.lower()).replace(" ", "-") for heading in found}


def leads_somewhere(target: str, folder: Path) -> bool:
    """Whether a link's target is there, its heading too."""
    path, _, anchor = target.partition("#")
    file = folder / path
    return "://" in target or (file.exists() and (not path or not anchor or anchor in headings(file.read_text())))


def unknown_paths(text: str, folder: Path) -> list[str]:
    """What a document names and is not there: targets of its links, files of the repository, tests in them."""
    wrong = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not leads_somewhere(target, folder)]
    for span in re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL):
        for word in span.strip("`").split():
            path, _, test = word.removeprefix("./").rstrip(".,;").partition("::")
            if not re.fullmatch(r"(lakehouse|jobs|dashboard|tests|conf|docker|docs|data)/[\w./-]+", path):
                continue
            if not (ROOT / path).exists() or (test and f"def {test}(" not in (ROOT / path).read_text()):
                wrong.append(word)
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text()
    assert not unknown_paths(text, document.parent)
    missing = [target for target in re.findall(r"\]\(#([^)]+)\)", text) if target not in headings(text)]
    assert not missing
    assert unknown_paths("[a](no.md) `jobs/no.py --x` `jobs/<d>/a.py` `tests/test_structure.py::no`", ROOT) == [
        "no.md",
        "jobs/no.py",
        "tests/test_structure.py::no",
    ]


def test_no_domain_imports_another_or_the_dashboard() -> None:
    for name in discovery.domains():
        for file in (ROOT / "jobs" / name).rglob("*.py"):
            foreign = {
                found
                for found in imports(file)
                if found.split(".")[0] != "lakehouse" and not f"{found}.".startswith(f"jobs.{name}.")
            }
            assert foreign <= {"jobs"}, f"{file.relative_to(ROOT)} imports {foreign}"


def test_the_dashboard_runs_where_there_is_no_spark() -> None:
    """What a page uses of its domain needs no JVM: `lake price` and the page answer with the same code."""
    files = sorted((ROOT / "dashboard").rglob("*.py"))
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    code = (
        "import importlib, sys; sys.modules['pyspark'] = None\nfor name in sys.argv[1:]: importlib.import_module(name)"
    )
    done = subprocess.run([sys.executable, "-c", code, *modules], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


# What gives Python a frame's rows with naive times of the process's zone, or lets Python run on them.
NAIVE = {"collect", "toPandas", "toLocalIterator", "first", "foreach", "foreachPartition", "rdd"}
NAIVE |= {"udf", "pandas_udf", "mapInPandas", "applyInPandas"}


def naive(source: str) -> list[int]:
    """The lines on which rows leave Spark by other ways than Arrow."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.attr in NAIVE]
    return [node.lineno for node in found if not (isinstance(node.value, ast.Name) and node.value.id == "gc")]


def test_no_naive_time_leaves_spark() -> None:
    """Rows leave it by `session.collect` or `toArrow`, whose times are in UTC and say so."""
    files = [file for folder in ("lakehouse", "jobs", "dashboard") for file in (ROOT / folder).rglob("*.py")]
    wrong = [f"{file.relative_to(ROOT)}:{line}" for file in files for line in naive(file.read_text())]
    assert not wrong, f"use lakehouse.spark.session.collect in {', '.join(wrong)}"
    assert naive("rows = frame.collect()\ngc.collect()\nframe.toArrow()\nframe.where(x).first()") == [1, 4]


@pytest.mark.skipif("CI" not in os.environ, reason="Only .ci/run says where tests run.")
def test_ci_is_west_of_utc_and_without_a_locale() -> None:
    assert time.localtime().tm_gmtoff < 0, "the zone of .ci/run is not known here: apt install tzdata"
    given = Path("/proc/self/environ").read_bytes().split(b"\0")  # since then tests/conftest.py has put ours in force
    assert not [name for name in given if name.startswith((b"LANG", b"LC_"))]


def test_the_history_is_never_vacuumed_early() -> None:
    """No file switches off Delta's check of the retention of a history table."""
    for folder in ("lakehouse", "jobs", "conf"):
        for file in (ROOT / folder).rglob("*.*"):
            if file.suffix in (".py", ".conf", ".toml"):
                assert "retentionDurationCheck" not in file.read_text(), file.relative_to(ROOT)
