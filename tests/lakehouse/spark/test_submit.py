"""How a job is started: flags, Java, jars, errors."""

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.errors import LakeError, UnavailableError, UsageError
from lakehouse.kafka import client
from lakehouse.settings import settings
from lakehouse.spark import jars, java, submit
from lakehouse.spark.flags import on_the_cluster


def test_flags_before_the_script_are_sparks_and_those_after_it_the_jobs() -> None:
    flags, job, options = submit.split(
        ["--conf", "a=b", "--py-files", "x.py", "jobs/houses/stream.py", "--query", "history"]
    )
    assert flags == ["--conf", "a=b", "--py-files", "x.py"]
    assert (job.script.name, job.command()) == ("stream.py", [sys.executable, str(job.script)])
    assert options == ["--query", "history"]


@pytest.mark.parametrize(
    "arguments", [[], ["--master", "local"], ["jobs/houses/no.py"], ["-m"], ["-m", "lakehouse.no"]]
)
def test_no_job_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        submit.split(arguments)


def test_given_flags_come_after_ours_so_that_they_win(root: Path) -> None:
    flags = submit.spark_flags(["--master", "spark://m:7077", "--conf", "x=y"])
    assert flags[-4:] == ["--master", "spark://m:7077", "--conf", "x=y"]
    assert "--jars" in flags  # executors elsewhere need the jars
    assert "--driver-class-path" in submit.spark_flags([])


FAR = "spark.master=spark://m:7077"
HERE = ["--master", "local[4]"]


@pytest.mark.parametrize(
    ("given", "local"),
    [
        ([], True),
        (["--master=spark://m:7077"], False),
        (["--conf", FAR], False),
        ([f"--conf={FAR}"], False),
        (["-c", FAR], False),
        (["--conf=spark.app.name=x", "--conf=spark.master=yarn"], False),
        (["--conf=spark.master=yarn", "--conf", "spark.master=local[*]"], True),  # the last one wins
        ([f"--conf={FAR}", "--master=local"], True),  # its own flag wins
        (["--name", "spark.master", "--conf", "a=spark.master=x"], True),
        (["--conf", "spark.master.rest.enabled=true"], True),
        (["--master", "local-cluster[2,1,1024]"], False),  # executors of their own
    ],
)
def test_the_master_is_seen_however_it_is_given(given: list[str], local: bool) -> None:
    flags = submit.spark_flags(given)
    assert ("--driver-class-path" in flags, "--jars" in flags) == (local, not local)


@pytest.mark.parametrize("line", ["spark.master spark://m:7077", "spark.master=spark://m:7077", "spark.master : yarn"])
def test_the_master_of_a_properties_file_counts_and_a_cluster_has_what_that_file_says(
    tmp_path: Path, line: str
) -> None:
    file = tmp_path / "own.conf"
    file.write_text(f"# spark.master local\n\n{line}\n")
    for given in (["--properties-file", str(file)], [f"--properties-file={file}"]):
        flags = submit.spark_flags(given)
        assert "--jars" in flags
        assert not any(flag.startswith("spark.sql.shuffle") for flag in flags)
        assert "--driver-class-path" in submit.spark_flags([*given, *HERE])
    with pytest.raises(UsageError, match=r"no\.conf cannot be read"):
        submit.spark_flags(["--properties-file", str(tmp_path / "no.conf")])


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ([], False),
        (["--deploy-mode", "cluster"], True),
        (["--deploy-mode=cluster"], True),
        (["--conf=spark.submit.deployMode=cluster"], True),
        (["--deploy-mode", "client", "--name", "cluster"], False),
    ],
)
def test_a_driver_on_the_cluster_is_seen_however_it_is_asked_for(given: list[str], there: bool) -> None:
    assert on_the_cluster(given) is there


def test_a_word_that_belongs_to_a_flag_is_no_job() -> None:
    words = ["--conf=spark.submit.pyFiles=a.py", "--archives", "b.py", "--py-files=c.py", "-v", "jobs/houses/train.py"]
    flags, job, _ = submit.split([*words, "--x.py"])
    assert (flags, job.script.name) == (words[:-1], "train.py")


@pytest.mark.parametrize("job", [["-m", "lakehouse.tables.maintain"], ["lakehouse/tables/maintain.py"]])
def test_what_is_the_platforms_runs_as_a_module_that_no_file_beside_it_or_here_can_disturb(
    root: Path, tmp_path: Path, job: list[str]
) -> None:
    flags, of_job, options = submit.split(["--conf", "a=b", *job, "-m", "x"])
    assert (flags, of_job, options) == (
        ["--conf", "a=b"],
        (root / "lakehouse/tables/maintain.py", "lakehouse.tables.maintain"),
        ["-m", "x"],
    )
    (tmp_path / "typer.py").write_text("raise SystemExit(3)")
    done = subprocess.run([*of_job.command(), "--help"], env=submit.environment([]), cwd=tmp_path, check=False)
    assert done.returncode == 0


def test_a_cluster_has_shuffle_partitions_of_its_own_and_given_ones_beat_them() -> None:
    own = "spark.sql.shuffle.partitions=7"
    flags = submit.spark_flags(["--master", "spark://m:7077", "--conf", own])
    partitions = [flag for flag in flags if flag.startswith("spark.sql.shuffle.partitions=")]
    assert (len(partitions), partitions[-1]) == (2, own)
    assert int(partitions[0].partition("=")[2]) > 2
    assert not any("spark.sql.shuffle" in flag for flag in submit.spark_flags(HERE))


@pytest.mark.parametrize(("given", "hadoops_own"), [([], False), (["--master", "spark://m:7077"], True)])
def test_only_where_the_jars_are_at_hand_files_are_written_by_one_of_them(given: list[str], hadoops_own: bool) -> None:
    flags = submit.spark_flags(given)
    assert ("spark.hadoop.fs.file.impl=org.apache.hadoop.fs.LocalFileSystem" in flags) is hadoops_own


def java_options(*script: str) -> str:
    """What the JVM of a job is given."""
    flags = submit.spark_flags([], *map(Path, script))
    return flags[flags.index("--driver-java-options") + 1]


@pytest.mark.usefixtures("lake")  # it forgets the settings afterwards
def test_a_job_that_ends_and_a_stream_have_their_own_java_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKE_STREAM_JAVA_OPTIONS")  # tests set it
    settings.cache_clear()
    assert "-XX:TieredStopAtLevel=1" in java_options("jobs/houses/train.py")
    assert "-XX:TieredStopAtLevel=1" not in java_options("jobs/houses/stream.py")
    monkeypatch.setenv("LAKE_JOB_JAVA_OPTIONS", "")
    monkeypatch.setenv("LAKE_STREAM_JAVA_OPTIONS", "-Xss4m")
    settings.cache_clear()
    assert "-XX:TieredStopAtLevel=1" not in java_options("jobs/houses/train.py")
    assert java_options("jobs/houses/stream.py").endswith("-Xss4m")


def test_paths_with_blanks_and_quotes_come_to_java_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark splits the options as a shell does."""
    root = tmp_path / 'Lagoš é\'s "lake"'
    (root / "conf").mkdir(parents=True)
    (root / "conf/spark-defaults.conf").touch()
    archive = root / "spark.jsa"
    archive.touch()
    monkeypatch.setattr(submit, "ROOT", root)
    monkeypatch.setattr(submit, "ARCHIVE", archive)
    words = shlex.split(java_options("jobs/houses/train.py"))
    assert f"-XX:SharedArchiveFile={archive}" in words
    assert f"-Dlog4j2.configurationFile={(root / 'conf/log4j2.properties').as_uri()}" in words
    monkeypatch.setenv("LAKE_MAKE_ARCHIVE", str(archive))
    assert f"-XX:ArchiveClassesAtExit={archive}" in shlex.split(java_options("jobs/houses/train.py"))


def test_a_job_runs_on_our_spark_and_python(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPARK_HOME", "PYSPARK_PYTHON", "PYSPARK_SUBMIT_ARGS", "HADOOP_CONF_DIR", "PYTHONPATH"):
        monkeypatch.setenv(name, "/elsewhere")
    env = submit.environment([])
    assert (env["SPARK_HOME"], env["PYSPARK_PYTHON"]) == (str(jars.pyspark_home()), sys.executable)
    assert "/elsewhere" not in env.values()
    assert submit.environment(["--master", "yarn"])["HADOOP_CONF_DIR"] == "/elsewhere"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("/var/lake", "/var/lake"),
        ("/Lagoš é ß", r"/Lago\u0161 \u00e9 \u00df"),
        ("a\\b", r"a\\b"),
        ("\U0001f600", r"\ud83d\ude00"),
        (" first\n", r"\ first\u000a"),
    ],
)
def test_properties_are_written_as_java_reads_them(value: str, written: str) -> None:
    assert client.in_properties(value) == written


def fake_java(folder: Path, version: str) -> Path:
    """A java that only tells its version."""
    program = folder / "bin/java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.22", "25.0.1"])
def test_an_unfit_java_is_refused_with_the_versions_that_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, version)))
    with pytest.raises(UnavailableError, match=r"cannot run Spark 4\. Install Java 17 or 21"):
        java.find()


def test_a_fit_java_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, "21.0.5")))
    assert java.find() == str(tmp_path / "bin/java")


def test_a_missing_java_is_one_sentence_without_a_trace(root: Path, tmp_path: Path) -> None:
    env = {**os.environ, "JAVA_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [root / "spark-submit.sh", "jobs/houses/stream.py"],
        capture_output=True,
        text=True,
        env=env,
        check=False,
        cwd="/",
    )
    assert done.returncode == 69
    assert done.stderr.startswith("Error: Java is missing")
    assert "Traceback" not in done.stderr


def test_a_jar_with_another_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "FOLDER", tmp_path)
    jar = jars.Jar("spark", "g", "a", "1", "0" * 64)
    fetched = tmp_path / "a-1.jar"
    fetched.write_bytes(b"something else")
    with pytest.raises(LakeError, match=r"has checksum .* conf/jars.lock says 000000000000"):
        jars._admit(jar, fetched)
    assert not jar.path.exists()


def test_the_lock_names_each_jar_once_with_a_checksum() -> None:
    locked = jars.locked()
    assert len({jar.path for jar in locked}) == len(locked)
    assert all(len(jar.sha256) == 64 for jar in locked)
    assert {jar.set for jar in locked} == {"spark", "broker"}
