"""A model as pages show it: its versions, which one is live, and how its predictions do since."""

from dataclasses import dataclass
from pathlib import Path

from lakehouse.contract.models import Metric, Model
from lakehouse.errors import LakeError
from lakehouse.models import manifests
from lakehouse.models.live_error import LiveError, LiveErrors
from lakehouse.models.manifests import Manifest
from lakehouse.models.registry import Registry, Switch


@dataclass(frozen=True)
class ModelView:
    """Every version's manifest, oldest first, and which is live. Equal to the one before when nothing has changed.

    `live_error` is None for a model whose predictions are not compared with what happened since.
    """

    model: Model
    live: str | None = None
    versions: tuple[Manifest, ...] = ()
    switches: tuple[Switch, ...] = ()
    live_error: LiveError | None = None
    error: str = ""

    @property
    def best(self) -> str | None:
        """The version with the best headline metric of those ever published."""
        return manifests.best_version(self.versions, self.model)

    @property
    def shown(self) -> tuple[Metric, ...]:
        """The metrics to show: those declared, and those that only the newest manifest has a format for."""
        declared = {metric.name for metric in self.model.metrics}
        forms = self.versions[-1].forms if self.versions else {}
        return (*self.model.shown, *(Metric(name, name, form) for name, form in forms.items() if name not in declared))

    @property
    def live_manifest(self) -> Manifest | None:
        """The live version's manifest."""
        return next((version for version in self.versions if version.version == self.live), None)


class ModelReader:
    """Reads the versions again only when one was added or another one went live."""

    def __init__(self, model: Model) -> None:
        self.registry = Registry(model)
        self._errors = LiveErrors(self.registry, model.live) if model.live else None
        self._stamp: object = None
        self._versions = ModelView(model)

    @property
    def model(self) -> Model:
        """The model that is read."""
        return self.registry.model

    def read(self) -> ModelView:
        """The model now."""
        view, errors = self.versions(), self._errors.read() if self._errors else None
        return ModelView(view.model, view.live, view.versions, view.switches, errors, view.error)

    def versions(self) -> ModelView:
        """The model now, without its live error."""
        stamp = self.registry.stamp(), _changed_at(self.registry.folder)
        if self._stamp != stamp:
            self._stamp, self._versions = stamp, self._read()
        return self._versions

    def _read(self) -> ModelView:
        versions = tuple(self.registry.versions())
        try:
            return ModelView(self.model, self.registry.live(), versions, tuple(self.registry.switches()))
        except LakeError as error:
            return ModelView(self.model, None, versions, error=str(error))


def _changed_at(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
