"""How a network is trained: the settings of the loop, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from offmap.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor, nn

Loss = Literal["mse", "l1"]
Optimizer = Literal["adamw", "adam"]
Schedule = Literal["onecycle", "plateau", "constant"]
Keep = Literal["last", "best"]
Precision = Literal["auto", "float32", "bfloat16"]

_CHOICES = {"loss": Loss, "optimizer": Optimizer, "schedule": Schedule, "keep": Keep}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Parameters
    ----------
    epochs, batch_size
        Passes over the training materials, and materials in a step.
    learning_rate, optimizer, weight_decay
        Largest step, and the rule. Weight decay is for matrices alone, not for biases and norms.
    schedule
        ``"onecycle"``: up for ``pct_start`` of the steps and down again, along cosines (Smith and
        Topin, arXiv 1708.07120); ``"plateau"``: times ``plateau_factor``, not below
        ``plateau_floor``, after ``plateau_patience`` epochs without a better score of the
        validation materials (of the training ones if there are none); or ``"constant"``.
    loss
        ``"mse"`` or ``"l1"``, of the target as it is or, with ``standardise``, less its mean and
        over its standard deviation among the training materials.
    gradient_clip
        Largest norm of the gradient; 0 leaves it.
    precision
        ``"auto"``: bfloat16 products on a graphics card that has them, single precision elsewhere.
    validation_share
        Share of the training materials that is kept out of training, for ``keep="best"``,
        ``stop_after`` and the plateau.
    keep
        Weights of the ``"last"`` epoch, or of the ``"best"`` by the validation materials.
    stop_after
        End after so many epochs without a better validation score; 0: never early.
    like
        Draw so many batches together and sort their materials by size, so that little is padded.
    """

    epochs: int = 25
    batch_size: int = 32
    learning_rate: float = 1e-3
    optimizer: Optimizer = "adamw"
    weight_decay: float = 1e-5
    schedule: Schedule = "onecycle"
    pct_start: float = 0.3
    plateau_patience: int = 13
    plateau_factor: float = 0.5
    plateau_floor: float = 1e-4
    loss: Loss = "mse"
    standardise: bool = False
    gradient_clip: float = 0.0
    precision: Precision = "auto"
    validation_share: float = 0.0
    keep: Keep = "last"
    stop_after: int = 0
    like: int = 1

    def __post_init__(self) -> None:
        for name, choices in (_CHOICES | {"precision": Precision}).items():
            if getattr(self, name) not in get_args(choices):
                known = ", ".join(get_args(choices))
                raise SettingsError(f"{name} = {getattr(self, name)!r}: choose one of {known}")
        for name in ("epochs", "batch_size", "like"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} = {getattr(self, name)}: it must be at least 1")
        if not 0 <= self.validation_share < 1:
            raise SettingsError(f"validation_share = {self.validation_share}: must be in [0, 1)")
        if not self.validation_share and (self.keep == "best" or self.stop_after):
            what = "stop_after" if self.stop_after else "keep = 'best'"
            raise SettingsError(f"{what} needs validation materials: set validation_share, as 0.1")

    def make_optimizer(self, network: nn.Module) -> Any:
        """The optimizer, with weight decay on matrices alone."""
        import torch

        matrices = [p for p in network.parameters() if p.ndim > 1]
        others = [p for p in network.parameters() if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": self.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        kind = torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam
        return kind(groups, lr=self.learning_rate)

    def make_schedule(self, optimizer: Any, n_steps: int) -> Any:
        """What changes the learning rate: each step, each epoch (plateau), or never (``None``)."""
        from torch.optim import lr_scheduler

        if self.schedule == "onecycle":
            return lr_scheduler.OneCycleLR(
                optimizer, self.learning_rate, total_steps=n_steps, pct_start=self.pct_start
            )
        if self.schedule == "plateau":
            return lr_scheduler.ReduceLROnPlateau(
                optimizer,
                factor=self.plateau_factor,
                patience=self.plateau_patience,
                min_lr=self.plateau_floor,
            )
        return None

    def loss_of(self, y_pred: Tensor, y: Tensor) -> Tensor:
        """Mean loss of some materials."""
        from torch.nn import functional

        return (
            functional.l1_loss(y_pred, y) if self.loss == "l1" else functional.mse_loss(y_pred, y)
        )
