"""What the user's shell has set for other programs is no concern of ours; what a site needs stays."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse import environment, settings
from lakehouse.environment import CLUSTER, DROPPED, KEPT, RULES, SERVER, SET, process_environment
from lakehouse.errors import UsageError
from lakehouse.settings import ROOT

NAMES = {
    DROPPED: """
        SPARK_HOME SPARK_CONF_DIR SPARK_DIST_CLASSPATH SPARK_LOCAL_DIRS SPARK_MASTER_HOST SPARK_SUBMIT_OPTS
        SPARK_ENV_LOADED SPARK_PRINT_LAUNCH_COMMAND SPARK_PREPEND_CLASSES SPARK_TESTING SPARK_SCALA_VERSION
        SPARK_DAEMON_JAVA_OPTS SPARK_LAUNCHER_OPTS PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON
        PYSPARK_DRIVER_PYTHON_OPTS PYSPARK_SUBMIT_ARGS PYSPARK_GATEWAY_PORT PYSPARK_GATEWAY_SECRET
        PYSPARK_PIN_THREAD HIVE_CONF_DIR _JAVA_OPTIONS JDK_JAVA_OPTIONS CLASSPATH KAFKA_OPTS KAFKA_HEAP_OPTS
        KAFKA_LOG4J_OPTS LOG4J_CONFIGURATION_FILE PGCLIENTENCODING PGDATESTYLE PGTZ PGDATA PYTHONHOME
        PYTHONSTARTUP PYTHONWARNINGS PYTHONOPTIMIZE PYTHONIOENCODING PYTHONSAFEPATH PYTHONINSPECT PYTHONUSERBASE
        PYTHONHASHSEED VIRTUAL_ENV CONDA_PREFIX DASH_URL_BASE_PATHNAME dash_url_base_pathname DASH_DEBUG
        FLASK_DEBUG WERKZEUG_RUN_MAIN REACT_VERSION PLOTLY_RENDERER BASH_ENV ENV BASH_FUNC_which%% SHELLOPTS
        POSIXLY_CORRECT CDPATH IFS GREP_OPTIONS MAKEFLAGS LANG LANGUAGE LC_NUMERIC
    """,
    KEPT: """
        SPARK_LOCAL_IP SPARK_PUBLIC_DNS JAVA_HOME JAVA_TOOL_OPTIONS HOME TZ TERM NO_COLOR FORCE_COLOR COLUMNS
        TMPDIR SSL_CERT_FILE REQUESTS_CA_BUNDLE KRB5CCNAME http_proxy HTTPS_PROXY all_proxy LD_PRELOAD
        LD_LIBRARY_PATH MALLOC_ARENA_MAX OMP_NUM_THREADS LAKE_VAR PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE
        PYTHON PLAYWRIGHT_BROWSERS_PATH PSQLRC PAGER AWS_PROFILE
    """,
    SERVER: """
        PGHOST PGHOSTADDR PGPORT PGUSER PGPASSWORD PGPASSFILE PGSERVICE PGSSLMODE PGSSLROOTCERT PGOPTIONS
    """,
    CLUSTER: """
        HADOOP_HOME HADOOP_CONF_DIR HADOOP_USER_NAME YARN_CONF_DIR SPARK_USER
    """,
}


@pytest.mark.parametrize("name", NAMES[DROPPED].split())
def test_what_is_set_for_other_programs_is_left_out(name: str) -> None:
    assert environment.decision(name) == DROPPED
    assert process_environment({name: "elsewhere"}).get(name) == SET.get(name)


@pytest.mark.parametrize("name", SET)
def test_what_our_processes_need_is_set_whatever_was_there(name: str) -> None:
    assert process_environment({})[name] == process_environment({name: "elsewhere"})[name] == SET[name]
    assert process_environment({name: "mine"}, keep=[name])[name] == "mine"


@pytest.mark.parametrize("name", NAMES[KEPT].split())
def test_what_a_machine_or_site_needs_stays(name: str) -> None:
    assert process_environment({name: "mine"}, own_server=False, local=True)[name] == "mine"


@pytest.mark.parametrize("name", NAMES[SERVER].split())
def test_words_of_libpq_are_for_a_server_of_ones_own(name: str) -> None:
    assert environment.decision(name) == SERVER
    assert process_environment({name: "mine"})[name] == "mine"
    assert name not in process_environment({name: "mine"}, own_server=False)


@pytest.mark.parametrize("name", NAMES[CLUSTER].split())
def test_a_cluster_is_not_known_to_a_local_spark(name: str) -> None:
    assert environment.decision(name) == CLUSTER
    assert process_environment({name: "mine"})[name] == "mine"
    assert name not in process_environment({name: "mine"}, local=True)


def test_what_is_named_is_kept_all_the_same() -> None:
    assert process_environment(
        {"SPARK_LOCAL_DIRS": "/scratch", "SPARK_HOME": "/x"}, keep=["SPARK_LOCAL_DIRS"]
    ).items() >= {("SPARK_LOCAL_DIRS", "/scratch")}


@pytest.mark.parametrize(
    ("given", "direct"),
    [
        ({"http_proxy": "p"}, "localhost,127.0.0.1,::1"),
        ({"HTTPS_PROXY": "p", "no_proxy": ".corp, localhost"}, ".corp,localhost,127.0.0.1,::1"),
        ({"all_proxy": "p", "NO_PROXY": "*"}, "*"),
        ({}, None),
    ],
)
def test_this_machine_is_asked_without_a_proxy(given: dict[str, str], direct: str | None) -> None:
    environ = process_environment(given)
    assert environ.get("no_proxy") == environ.get("NO_PROXY") == direct


def test_it_is_made_of_itself_without_a_change() -> None:
    """What `lake up` starts makes it once more."""
    once = process_environment({"http_proxy": "p", "no_proxy": "a b", "LANG": "de_DE", "PATH": "/bin"})
    assert process_environment(once) == once
    assert process_environment({})["PATH"]  # systemd may give none


def test_the_document_shows_every_rule() -> None:
    text = (ROOT / "docs/environment.md").read_text()
    rows = [re.split(r" \| ", line.strip("| ")) for line in text.splitlines() if line.startswith("| `")]
    shown = [(names.replace("`", ""), what, why) for names, what, why in rows[: len(RULES)]]
    assert shown == [(rule.names, rule.decision, rule.why) for rule in RULES]
    assert all(f"`{name}" in text for name in SET)


def test_lake_starts_whatever_the_environment_asks_of_python(tmp_path: Path) -> None:
    """Another program's modules, home and warnings are kept from `lake` and from what ./spark-submit.sh starts."""
    for name in ("typer", "json", "lakehouse", "structlog"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('another program')")
    env = {"PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nonexistent", "PYTHONWARNINGS": "error", "PYTHONSTARTUP": "/x"}
    env |= {"BASH_ENV": str(tmp_path / "no.sh"), "CDPATH": "/", "LAKE_VAR": str(tmp_path / "var")}
    for command, code in ((Path(sys.executable).parent / "lake", 3), (ROOT / "spark-submit.sh", 0)):
        arguments = ["status"] if code else ["jobs/houses/produce.py", "--help"]
        done = subprocess.run([str(command), *arguments], env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("name", ["a,b", "a:b", "a%20b", "[a]", "{a}", "a*", "a?", "a\\b", "a\tb"])
def test_a_path_that_would_be_misread_is_refused(name: str, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_VAR", f"{lake} {name}")
    settings.settings.cache_clear()
    with pytest.raises(UsageError, match=r"The path of .* has .* in it, .* Name another one with LAKE_VAR"):
        settings.settings()
