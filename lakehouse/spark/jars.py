"""The jars that pyspark lacks: downloaded once, each verified against its checksum in conf/jars.lock."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import LakeError, UnavailableError
from lakehouse.settings import ROOT
from lakehouse.spark import proxies

LOCK = ROOT / "conf/jars.lock"
FOLDER = ROOT / "jars"
_PARALLEL = 4  # Ivy works through its list one by one and mostly waits


@dataclass(frozen=True)
class Jar:
    """A jar of a set (`spark` or `broker`) by its Maven coordinates, with its SHA-256."""

    set: str
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        """The file of the jar once it is downloaded."""
        return FOLDER / self.set / f"{self.artifact}-{self.version}.jar"


def locked() -> list[Jar]:
    """The jars named in conf/jars.lock."""
    lines = (line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#"))
    parsed = ((set_, coordinates.split(":"), sha256) for set_, coordinates, sha256 in lines)
    return [Jar(set_, group, artifact, version, sha256) for set_, (group, artifact, version), sha256 in parsed]


def folder(set_: str) -> Path:
    """The folder of a set of jars. Raises UnavailableError when one is missing, LakeError when there is an unknown one:
    all jars of the folder are on the class path.
    """
    named = {jar.path.name for jar in locked() if jar.set == set_}
    if more := sorted(path.name for path in (FOLDER / set_).glob("*.jar") if path.name not in named):
        raise LakeError(f"{more[0]} is not named in conf/jars.lock.", f"Delete it from {FOLDER / set_}.")
    missing = [jar.path.name for jar in locked() if jar.set == set_ and not jar.path.exists()]
    if missing:
        raise UnavailableError(f"{len(missing)} jars are missing, {missing[0]} among them.", "Run `make setup`.")
    return FOLDER / set_


def fetch(java: str) -> int:
    """Download missing and damaged jars; returns their number. Raises LakeError on a wrong checksum."""
    wanted = [jar for jar in locked() if not (jar.path.exists() and _sha256(jar.path) == jar.sha256)]
    if not wanted:
        return 0
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as aside:
        chunks = [wanted[start::_PARALLEL] for start in range(_PARALLEL)]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            jobs = [
                pool.submit(_retrieve, java, chunk, Path(aside) / str(n)) for n, chunk in enumerate(chunks) if chunk
            ]
        for job in jobs:
            job.result()
        for n, chunk in enumerate(chunks):
            for jar in chunk:
                _admit(jar, Path(aside) / str(n) / jar.set / jar.path.name)
    return len(wanted)


def _retrieve(java: str, jars: list[Jar], into: Path) -> None:
    """Download the jars with Ivy, which is part of pyspark, without their dependencies."""
    into.mkdir()
    confs = "".join(f'<conf name="{name}"/>' for name in ("spark", "broker"))
    wanted = "".join(
        f'<dependency org="{jar.group}" name="{jar.artifact}" rev="{jar.version}" conf="{jar.set}->master"'
        ' transitive="false"/>'
        for jar in jars
    )
    module = f'<ivy-module version="2.0"><info organisation="lake" module="jars"/><configurations>{confs}'
    (into / "ivy.xml").write_text(f"{module}</configurations><dependencies>{wanted}</dependencies></ivy-module>")
    pyspark_jars = pyspark_home() / "jars"
    ivy = os.pathsep.join(str(next(pyspark_jars.glob(name))) for name in ("ivy-*.jar", "commons-cli-*.jar"))
    (into / "java.options").write_text(proxies.argument_file(proxies.java_options(os.environ)))
    command = [
        java,
        f"@{into / 'java.options'}",
        "-cp",
        ivy,
        "org.apache.ivy.Main",
        "-cache",
        str(into / "cache"),
        "-ivy",
        str(into / "ivy.xml"),
    ]
    command += ["-confs", "spark", "broker", "-types", "jar", "bundle"]
    command += ["-retrieve", "[conf]/[artifact]-[revision].[ext]"]  # a parenthesis in a longer path would be a pattern
    done = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [
            line.strip() for line in (done.stdout + done.stderr).splitlines() if "not found" in line or "ERROR" in line
        ]
        raise UnavailableError(
            f"The jars could not be downloaded: {errors[0] if errors else 'Ivy ended with an error'}.",
            "Check the network (Maven Central must answer; https_proxy names a proxy), then run `make setup` again.",
        )


def _admit(jar: Jar, fetched: Path) -> None:
    if not fetched.exists():
        raise UnavailableError(f"{jar.path.name} was not downloaded.", "Run `make setup` again.")
    got = _sha256(fetched)
    if got != jar.sha256:
        raise LakeError(
            f"{jar.path.name} has checksum {got[:12]}…, conf/jars.lock says {jar.sha256[:12]}….",
            "Do not use it; find out where it came from.",
        )
    jar.path.parent.mkdir(exist_ok=True)
    shutil.move(fetched, jar.path)


def pyspark_home() -> Path:
    """Where pyspark is installed, found without importing it."""
    import importlib.util

    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise UnavailableError("pyspark is not installed.", "Run `make setup`.")
    return Path(spec.origin).parent


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
