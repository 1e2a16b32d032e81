"""The vocabulary: every column that offmap writes, with its label, its unit and its meaning.

One concept has one name. Tables, figures, the report and the command line all take their words
from here. The unit ``"target"`` stands for the unit of the column being predicted.
"""

from __future__ import annotations

from dataclasses import dataclass

MATERIAL_ID = "material_id"
FORMULA = "formula"
ELEMENTS = "elements"
N_ELEMENTS = "n_elements"
N_SITES = "n_sites"
SPACE_GROUP = "space_group"
POINT_GROUP = "point_group"
CRYSTAL_SYSTEM = "crystal_system"
CHEMICAL_SYSTEM = "chemical_system"

DATASET = "dataset"
TARGET = "target"
REPRESENTATION = "representation"
MODEL = "model"
CRITERION = "criterion"
HELD_OUT = "held_out"
SEED = "seed"
N_TRAIN = "n_train"
N_TEST = "n_test"

Y_TRUE = "y_true"
Y_PRED = "y_pred"

IN_DISTRIBUTION = "in_distribution"
"""The criterion of the random folds that every task is compared with."""

CELL_KEYS = (DATASET, TARGET, REPRESENTATION, MODEL, CRITERION, HELD_OUT, SEED, N_TRAIN)
"""What identifies one cell of the grid, in the order of its path."""

TASK_KEYS = (CRITERION, HELD_OUT)

METRICS = ("mae", "rmse", "r2", "pearson", "spearman", "kendall", "bias", "mae_over_mad")
"""Scores of a task that carry an interval (``<metric>_low``, ``<metric>_high``)."""


@dataclass(frozen=True)
class Column:
    """What a column holds, in words a materials scientist would use."""

    label: str
    unit: str = ""
    description: str = ""
    higher_is_better: bool | None = None


COLUMNS: dict[str, Column] = {
    MATERIAL_ID: Column("Material", "", "Identifier of the material in its database"),
    FORMULA: Column("Formula", "", "Reduced chemical formula"),
    ELEMENTS: Column("Elements", "", "Elements that the material contains"),
    N_ELEMENTS: Column("Number of elements", "", "How many elements the material contains"),
    N_SITES: Column("Number of sites", "", "Atoms in the cell"),
    SPACE_GROUP: Column("Space group", "", "International number, 1 to 230"),
    POINT_GROUP: Column("Point group", "", "Hermann-Mauguin symbol"),
    CRYSTAL_SYSTEM: Column("Crystal system", "", "Triclinic to cubic"),
    CHEMICAL_SYSTEM: Column("Chemical system", "", "Elements joined by a dash, such as Li-O"),
    "period": Column("Period", "", "Row of the periodic table"),
    "group": Column("Group", "", "Column of the periodic table"),
    "element": Column("Element", "", "A chemical element"),
    DATASET: Column("Dataset"),
    TARGET: Column("Target", "", "The column that is predicted"),
    REPRESENTATION: Column("Representation", "", "How crystals are described to the model"),
    MODEL: Column("Model"),
    CRITERION: Column("Criterion", "", "The X of leave-one-X-out"),
    HELD_OUT: Column("Held out", "", "The value that is left out of training"),
    SEED: Column("Seed", "", "Seed of everything random in the cell"),
    N_TRAIN: Column("Train", "", "Materials the model was trained on"),
    N_TEST: Column("Test", "", "Materials of the test set"),
    "kept": Column("Kept", "", "Whether the task is run"),
    "reason": Column("Reason", "", "Why it was kept, skipped or set aside"),
    Y_TRUE: Column("Reference value", "target", "The label in the dataset"),
    Y_PRED: Column("Predicted value", "target", "What the model predicted, never having seen it"),
    "mad": Column("MAD", "target", "Mean absolute deviation of the test labels from their mean"),
    "std": Column("Standard deviation", "target", "Standard deviation of the test labels"),
    "mae": Column("MAE", "target", "Mean absolute error", False),
    "rmse": Column("RMSE", "target", "Root mean squared error", False),
    "r2": Column("R²", "", "Coefficient of determination on the test set", True),
    "pearson": Column("Pearson r", "", "Linear correlation of prediction and label", True),
    "spearman": Column("Spearman ρ", "", "Rank correlation of prediction and label", True),
    "kendall": Column("Kendall τ", "", "Rank agreement of prediction and label (tau-b)", True),
    "bias": Column("Bias", "target", "Mean signed error, predicted minus true"),
    "mae_over_mad": Column("MAE / MAD", "", "Error relative to guessing the mean", False),
    "mae_in_distribution": Column(
        "In-distribution MAE",
        "target",
        "MAE on the same test materials when materials like them were in the training set",
        False,
    ),
    "mae_increase": Column(
        "MAE increase",
        "target",
        "MAE minus in-distribution MAE, over the same materials (paired)",
        False,
    ),
    "mae_ratio": Column(
        "MAE ratio", "", "MAE over in-distribution MAE, over the same materials", False
    ),
    "r2_in_distribution": Column(
        "In-distribution R²", "", "R² on the same test materials in the random folds", True
    ),
    "bias_in_distribution": Column(
        "In-distribution bias", "target", "Bias on the same test materials in the random folds"
    ),
}

PERIODIC_CRITERIA = ("element", "period", "group")
SYMMETRY_CRITERIA = (SPACE_GROUP, POINT_GROUP, CRYSTAL_SYSTEM)
STUDY_CRITERIA = PERIODIC_CRITERIA + SYMMETRY_CRITERIA
"""The six criteria of Li et al., Commun. Mater. 6, 9 (2025)."""


def label(name: str, target_unit: str = "") -> str:
    """Axis or column label with its unit, such as ``"MAE (eV/atom)"``.

    ``<name>_low`` and ``<name>_high`` are the ends of the interval of ``<name>``.
    """
    for suffix, words in (("_low", ", lower end"), ("_high", ", upper end")):
        if name.endswith(suffix) and name not in COLUMNS:
            return label(name.removesuffix(suffix), target_unit) + words
    column = COLUMNS.get(name, Column(name.replace("_", " ")))
    unit = target_unit if column.unit == "target" else column.unit
    return f"{column.label} ({unit})" if unit else column.label
