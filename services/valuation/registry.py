"""The models and policy tables at hand, and the pair that values from now on.

The table of models says which version is the champion; each replica looks every second.
"""

from collections.abc import Mapping
from pathlib import Path

from ml.residual_value.model import MANIFEST, ModelRefused, ResidualValueModel
from services.valuation.appraisal import Valuer
from services.valuation.errors import ModelNotKept, ModelNotOurs, PolicyNotKept
from services.valuation.policy import PolicyTable, read_policies
from services.valuation.settings import ValuationSettings


class Registry:
    """Every model version and policy table at hand; none changes once it is read."""

    def __init__(
        self,
        models: Mapping[str, ResidualValueModel],
        policies: Mapping[str, PolicyTable],
        *,
        folder: Path,
        champion: str,
        policy: str,
    ) -> None:
        self.models = dict(models)
        self.policies = policies
        self._folder = folder
        self._policy = policy
        self._valuers: dict[tuple[str, str], Valuer] = {}
        self.present = self.valuer(champion, policy)

    def read(self, version: str) -> ResidualValueModel:
        """Return a version's model, read from its folder where it is not at hand.

        Raises:
            ModelNotKept: It has no folder.
            ModelNotOurs: A file is missing, was changed, or is not of this version.
        """
        if version not in self.models:
            folder = self._folder / version
            if not (folder / MANIFEST).is_file():
                raise ModelNotKept(version)
            try:
                model = ResidualValueModel(folder)
            except ModelRefused as error:
                raise ModelNotOurs(f"models/{version}", str(error)) from error
            if model.version != version:
                raise ModelNotOurs(f"models/{version}", f"{folder} holds {model.version}")
            self.models[version] = model
        return self.models[version]

    def use(self, version: str) -> None:
        """Value with a version from now on.

        Raises:
            ModelNotKept, ModelNotOurs: It cannot be read.
        """
        self.read(version)
        self.present = self.valuer(version, self._policy)

    def valuer(self, model: str, policy: str) -> Valuer:
        """Return the model and policy of a past valuation.

        Raises:
            ModelNotKept, PolicyNotKept: One of them is gone.
        """
        if model not in self.models:
            raise ModelNotKept(model)
        if policy not in self.policies:
            raise PolicyNotKept(policy)
        if (model, policy) not in self._valuers:
            self._valuers[model, policy] = Valuer.of(self.models[model], self.policies[policy])
        return self._valuers[model, policy]


def load_registry(settings: ValuationSettings) -> Registry:
    """Read every model and policy table that the settings name.

    Raises:
        ModelRefused: A model's file is missing, was changed, or is not of a model of ours.
        PolicyRefused: A policy table cannot be read.
        ModelNotKept, PolicyNotKept: The version that shall value is not among them.
    """
    models = [ResidualValueModel(folder) for folder in model_folders(settings.models)]
    return Registry(
        {model.version: model for model in models},
        read_policies(settings.policies),
        folder=settings.models,
        champion=settings.champion,
        policy=settings.policy,
    )


def model_folders(folder: Path) -> list[Path]:
    """Return the folders of a folder that hold a model."""
    return sorted(manifest.parent for manifest in folder.glob(f"*/{MANIFEST}"))
