"""What must hold everywhere: no SQL made from data, no path made from an id, nothing installed that is not locked."""

import ast
import hashlib
import importlib.metadata
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from jobs.houses.schema import PRICE_MODEL
from lakehouse.contract import discovery
from lakehouse.errors import LakeError
from lakehouse.kafka import client
from lakehouse.models.registry import Registry
from lakehouse.settings import ROOT
from lakehouse.spark import jars
from tests.jobs.houses.price_model import fitting

CODE = [file for folder in ("lakehouse", "jobs", "dashboard") for file in sorted((ROOT / folder).rglob("*.py"))]
SPEAKS_SQL = {
    "sql",
    "SQL",
    "execute",
    "executemany",
    "expr",
    "selectExpr",
    "where",
    "filter",
    "delete",
    "update",
    "merge",
}
CLIENTS = {"Producer", "Consumer", "AdminClient"}
NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def built_texts(call: ast.Call) -> Iterator[ast.expr]:
    """Arguments put together from values that are no constants of the module."""
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        if isinstance(argument, ast.JoinedStr):
            values = [part.value for part in argument.values if isinstance(part, ast.FormattedValue)]
            if not all(isinstance(value, ast.Name) and NAME.fullmatch(value.id) for value in values):
                yield argument
        elif isinstance(argument, ast.BinOp) and isinstance(argument.op, ast.Add | ast.Mod):
            if any(isinstance(part, ast.Constant | ast.JoinedStr) and _is_text(part) for part in ast.walk(argument)):
                yield argument
        elif isinstance(argument, ast.Call) and _puts_in(argument.func):
            yield argument


def _is_text(part: ast.expr | ast.AST) -> bool:
    return isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))


def _puts_in(method: ast.expr) -> bool:
    """Whether it is a format() that puts values in as they are; that of psycopg's SQL(…) quotes them."""
    if not isinstance(method, ast.Attribute) or method.attr != "format":
        return False
    template = method.value
    return not (isinstance(template, ast.Call) and getattr(template.func, "attr", "") == "SQL")


def sql_from_data(source: str) -> list[int]:
    """Lines in which a call that takes SQL gets a text put together on the spot."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in SPEAKS_SQL and any(built_texts(call))
    ]


def test_no_sql_is_put_together_from_data() -> None:
    assert {str(file.relative_to(ROOT)): found for file in CODE if (found := sql_from_data(file.read_text()))} == {}


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("spark.sql(f'SELECT * FROM t WHERE id = {house}')", True),
        ("spark.sql('SELECT * FROM t WHERE id = ' + house)", True),
        ("cursor.execute('DELETE FROM t WHERE id = %s' % house)", True),
        ("rows.where('id = {}'.format(house))", True),
        ("rows.where(F.col('id') == F.lit(house))", False),
        ("cursor.execute('DELETE FROM t WHERE id = %s', (house,))", False),
        ("F.expr(f'INTERVAL {MAX_AHEAD}')", False),
        ("rows.where('is_valid')", False),
        ("cursor.execute(sql.SQL('DROP TABLE {}').format(sql.Identifier(house)))", False),
        ("cursor.execute(sql.SQL(f'DROP TABLE {house}'))", True),
        ("cursor.execute(sql.SQL('DROP TABLE {}'.format(house)))", True),
        ("cursor.execute(sql.SQL('{} ' + kind).format(sql.Identifier(house)))", True),
        ("cursor.execute(login.format(sql.Literal(word)))", True),
    ],
)
def test_sql_put_together_from_data_is_noticed(source: str, wrong: bool) -> None:
    assert bool(sql_from_data(source)) is wrong


def test_every_kafka_client_logs_in_as_the_settings_say() -> None:
    """A client that is made without `client.security()` works until the broker asks for a login."""
    for file in CODE:
        tree = ast.parse(file.read_text())
        made = [
            node for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLIENTS
        ]  # fmt: skip
        assert not made or re.search(r"\bsecurity\(", file.read_text()), file.relative_to(ROOT)
    assert all("security()" in inspect.getsource(make) for make in (client.producer, client.assigned_consumer))


@pytest.mark.parametrize("name", discovery.domains())
def test_the_topics_that_streams_read_hold_batches_by_what_they_unpack_to(name: str) -> None:
    read = {topic for tables in discovery.load(name).query_tables.values() for topic in tables.topics}
    for topic in read:
        limits = {"max.message.bytes": "4194304", "compression.type": "uncompressed"}
        assert limits.items() <= dict(topic.config).items(), topic.name


def test_no_page_takes_text_for_markup() -> None:
    """Event text is shown by React as text; what would show it as anything else is not used, or on fixed text only."""
    for file in (ROOT / "dashboard").rglob("*.py"):
        text = file.read_text()
        assert "dcc.Markdown" not in text, file
        assert not re.search(r"dangerously_allow_(html|code)\s*=\s*True", text), file
    for file in (ROOT / "dashboard/assets").glob("*.js"):
        for line in re.findall(r".*(?:(?:inner|outer|Adjacent)HTML|document\.write|\beval\().*", file.read_text()):
            assert re.search(r"innerHTML\s*=\s*'[^'+]*'", line), f"{file.name}: {line}"


PATHS = r"""
import os, sys
inside = [os.path.realpath(os.environ["LAKE_VAR"]), sys.prefix, sys.base_prefix, os.environ["LAKE_ROOT"], "/dev"]
opened = []
def watch(event, arguments):
    if watching and event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes)):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if not path.startswith(tuple(inside)) or "canary" in path:
            opened.append((event, path))
watching = False
from urllib.parse import quote
from dashboard import app
from dashboard.live import snapshot
from dashboard.live.snapshot import Live
from jobs.houses.price_model.pricer import Pricer
from dataclasses import replace
from jobs.houses.schema import PRICE_MODEL
from lakehouse.contract import discovery
from lakehouse.ops import nightly
from lakehouse.models.registry import Registry
from lakehouse.errors import LakeError
snapshot.use(Live(()))
client = app.create_app().server.test_client()
client.get("/"), client.get("/house/1"), client.get("/api/houses/1/price")
live = Registry(PRICE_MODEL).live()
assert live == Pricer().model().version
sys.addaudithook(watch)
watching = True
for text in eval(sys.stdin.read()):
    for ask in (
        lambda: Registry(replace(PRICE_MODEL, name=text)).versions(), lambda: Registry(PRICE_MODEL).path(text),
        lambda: Registry(PRICE_MODEL).manifest(text), lambda: Registry(PRICE_MODEL).content(live, text),
        lambda: Registry(PRICE_MODEL).rollback("x", to=text), lambda: Pricer().price(text),
        lambda: discovery.load(text), lambda: nightly.steps([text]),
    ):
        try:
            ask()
        except LakeError:
            pass
    for address in ("/house/{}", "/api/houses/{}/price", "/price?id={}", "/houses?decade={}", "/assets/{}", "/{}",
                    "/_dash-component-suites/dash/{}", "/models?version={}"):
        for quoted in (quote(text, safe=""), quote(text)):
            answer = client.get(address.format(quoted))
            assert b"CANARY" not in answer.data, address.format(quoted)
            assert answer.status_code < 500, (answer.status_code, address.format(quoted))
print(opened)
"""
LEADING_OUT = [
    "../canary", "../../canary.txt", "..", "../../../../../../etc/passwd", "/etc/passwd", "..%2f..%2fetc%2fpasswd",
    "{canary,v0001}", "[a-z]*", "*", "v0001/../../canary.txt", "....//....//canary.txt", "..\\..\\canary.txt",
    "canary.txt\0.json", "file:///etc/passwd", "~root/.bashrc", "$HOME", "`id`", "v0001\n", "x' OR 1=1 --",
    "'; DROP TABLE t; --", "\u202e", "a" * 5000, "v" + "1" * 5000, "",
]  # fmt: skip


def test_no_id_version_domain_or_address_leads_out_of_the_lake(lake: Path) -> None:
    """Every file that is opened meanwhile lies in the lake, the repository or the Python installation."""
    fitting.publish(Registry(PRICE_MODEL))
    for place in (lake.parent, lake, lake / "models", lake / "models/houses/price"):
        (place / "canary.txt").write_text("CANARY")
    done = subprocess.run(
        [sys.executable, "-c", PATHS],
        cwd=ROOT,
        env={**os.environ, "LAKE_ROOT": str(ROOT)},
        input=repr(LEADING_OUT),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_requirement_is_pinned_with_hashes() -> None:
    for file in ("requirements.txt", "requirements-dev.txt", "requirements-build.txt"):
        for entry in entries(file):
            assert re.match(r"[a-z0-9.\-\[\],]+==\S+ ", entry), f"{file}: {entry[:60]}"
            assert entry.count("--hash=sha256:") >= 1, f"{file}: {entry[:60]}"
    lines = [line for line in (ROOT / "Makefile").read_text().splitlines() if " install" in line and "-r req" in line]
    assert lines
    assert [line for line in lines if "--require-hashes" not in line] == []


def entries(file: str) -> list[str]:
    """The requirements of a file, each on one line with its hashes."""
    text = (ROOT / file).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_what_is_installed_is_what_is_locked() -> None:
    for entry in entries("requirements.txt"):
        wanted = Requirement(entry.split(" --hash", maxsplit=1)[0].strip())
        if wanted.marker is None or wanted.marker.evaluate():
            assert importlib.metadata.version(wanted.name) in wanted.specifier, wanted


def test_the_jars_are_the_locked_ones() -> None:
    locked = {jar.path: jar.sha256 for jar in jars.locked()}
    on_disk = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in jars.FOLDER.glob("*/*.jar")}
    assert on_disk == locked


def test_a_jar_that_nobody_locked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies in the folder is on the class path."""
    monkeypatch.setattr(jars, "FOLDER", tmp_path)
    for jar in jars.locked():
        jar.path.parent.mkdir(exist_ok=True)
        jar.path.touch()
    assert jars.folder("broker") == tmp_path / "broker"
    (tmp_path / "broker/aaa.jar").touch()
    with pytest.raises(LakeError, match=r"aaa\.jar is not named in conf/jars\.lock"):
        jars.folder("broker")
