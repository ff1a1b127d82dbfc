"""The models and policy tables that this service keeps, and the pair that values from now on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml.residual_value.model import MANIFEST, ResidualValueModel
from services.valuation.appraisal import Valuer
from services.valuation.errors import ModelNotKept, PolicyNotKept
from services.valuation.policy import PolicyTable, read_policies
from services.valuation.settings import ValuationSettings


class Registry:
    """Every model version and policy table at hand; none changes while the service runs."""

    def __init__(
        self,
        models: Mapping[str, ResidualValueModel],
        policies: Mapping[str, PolicyTable],
        *,
        champion: str,
        policy: str,
    ) -> None:
        self.models = models
        self.policies = policies
        self._valuers: dict[tuple[str, str], Valuer] = {}
        self.present = self.valuer(champion, policy)

    def is_champion(self, model: ResidualValueModel) -> bool:
        """Whether new valuations are made with a model."""
        return model.version == self.present.model.version

    def list_models(self, *, after: tuple[Any, ...] | None, limit: int) -> list[ResidualValueModel]:
        """Return models, the newest first, after a `model_key`."""
        ordered = sorted(self.models.values(), key=self.model_key, reverse=True)
        return [model for model in ordered if after is None or self.model_key(model) < after][
            :limit
        ]

    def model_key(self, model: ResidualValueModel) -> tuple[str, str]:
        """Return what models are ordered by: the window's end, then the version."""
        return model.calibration.window_end, model.version

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
        champion=settings.champion,
        policy=settings.policy,
    )


def model_folders(folder: Path) -> list[Path]:
    """Return the folders of a folder that hold a model."""
    return sorted(manifest.parent for manifest in folder.glob(f"*/{MANIFEST}"))
