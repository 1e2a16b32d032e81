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
ROUND = "round"

Y_TRUE = "y_true"
Y_PRED = "y_pred"

IN_DISTRIBUTION = "in_distribution"
"""The criterion of the random folds that every task is compared with."""

CELL_KEYS = (DATASET, TARGET, REPRESENTATION, MODEL, CRITERION, HELD_OUT, SEED, N_TRAIN)
"""What identifies one cell of the grid, in the order of its path."""

METRICS = ("mae", "rmse", "r2", "pearson", "spearman", "kendall", "bias", "mae_over_mad")
"""Scores of a task that carry an interval (``<metric>_low``, ``<metric>_high``)."""


@dataclass(frozen=True)
class Column:
    """What a column holds, in words a materials scientist would use."""

    label: str
    unit: str = ""
    description: str = ""


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
    ROUND: Column("Round", "", "Boosting round or epoch after which the model was asked"),
    "kept": Column("Kept", "", "Whether the task is run"),
    "reason": Column("Reason", "", "Why it was kept, skipped or set aside"),
    Y_TRUE: Column("Reference value", "target", "The label in the dataset"),
    Y_PRED: Column("Predicted value", "target", "What the model predicted, never having seen it"),
    "mad": Column("MAD", "target", "Mean absolute deviation of the test labels from their mean"),
    "std": Column("Standard deviation", "target", "Standard deviation of the test labels"),
    "mae": Column("MAE", "target", "Mean absolute error"),
    "rmse": Column("RMSE", "target", "Root mean squared error"),
    "r2": Column("R²", "", "Coefficient of determination on the test set"),
    "pearson": Column("Pearson r", "", "Linear correlation of prediction and label"),
    "spearman": Column("Spearman ρ", "", "Rank correlation of prediction and label"),
    "kendall": Column("Kendall τ", "", "Rank agreement of prediction and label (tau-b)"),
    "bias": Column("Bias", "target", "Mean signed error, predicted minus true"),
    "mae_over_mad": Column("MAE / MAD", "", "Error relative to guessing the mean"),
    "mae_in_distribution": Column(
        "In-distribution MAE",
        "target",
        "MAE on the same test materials when materials like them were in the training set",
    ),
    "mae_increase": Column(
        "MAE increase", "target", "MAE minus in-distribution MAE, over the same materials (paired)"
    ),
    "mae_ratio": Column("MAE ratio", "", "MAE over in-distribution MAE, over the same materials"),
    "r2_in_distribution": Column(
        "In-distribution R²", "", "R² on the same test materials in the random folds"
    ),
    "bias_in_distribution": Column(
        "In-distribution bias", "target", "Bias on the same test materials in the random folds"
    ),
    "detector": Column("Detector", "", "What measures how far out a material lies"),
    "coverage": Column("Coverage", "", "Share of the test materials in the training domain"),
    "verdict": Column("Verdict", "", "Interpolation, partial or extrapolation, by the coverage"),
    "decided_by": Column(
        "Decided by", "", "What the verdict follows from: expected_error or mean_standing"
    ),
    "sure": Column("Sure", "", "Whether the whole interval of the coverage gives that verdict"),
    "agreement": Column("Agreement", "", "Share of detectors that side with the verdict"),
    "coverage_least": Column("Least coverage", "", "Over other choices of the calibration rows"),
    "coverage_most": Column("Most coverage", "", "Over other choices of the calibration rows"),
    "two_sample_auc": Column(
        "Two-sample AUC", "", "How well a classifier tells test from train; 0.5: not at all"
    ),
    "combined": Column("Combined standing", "", "1 is the threshold; above is out of domain"),
    "expected_mae": Column("Expected MAE", "target", "Forecast from akin tasks, without this one"),
    "expected_error": Column(
        "Expected error", "target", "Absolute error to expect, learned over the other tasks"
    ),
    "n_out": Column("Detectors out", "", "How many detectors call the material out of domain"),
    "out_of_domain": Column("Out of domain", "", "Verdict on the material"),
    "mae_matched": Column(
        "Matched MAE", "target", "MAE of in-distribution materials matched to the test set"
    ),
    "r2_matched": Column("Matched R²", "", "R² of the matched in-distribution materials"),
    "std_matched": Column(
        "Matched standard deviation", "target", "Standard deviation of the matched labels"
    ),
    "matched_gap": Column("Matched gap", "target", "MAE minus matched MAE (paired)"),
    "false_alarms": Column("False alarms", "", "Share of the random folds called out of domain"),
    "auroc": Column(
        "AUROC", "", "Ranks large errors first: above the in-distribution 95th percentile"
    ),
    "excess_area": Column(
        "Excess area", "", "Of the risk-coverage curve: 0 ideal, 1 no better than chance"
    ),
    "mae_rank_correlation": Column(
        "Task rank correlation", "", "Share out of domain against MAE, over tasks"
    ),
    "mae_rank_correlation_mean": Column(
        "Task rank correlation (mean score)", "", "Mean score against MAE, over tasks"
    ),
    "error_rank_correlation": Column(
        "Error rank correlation", "", "Score against absolute error, within tasks"
    ),
    "distance_q10": Column("Nearest distance, 10 %", "", "Over that of held-out rows"),
    "distance_q50": Column("Nearest distance, median", "", "Over that of held-out rows"),
    "distance_q90": Column("Nearest distance, 90 %", "", "Over that of held-out rows"),
    "twins_formula": Column("Twins by formula", "", "Test formulas that are in training too"),
    "twins_prototype": Column(
        "Twins by prototype", "", "Test stoichiometry and space group that are in training too"
    ),
    "bin": Column("Bin", "", "How far out: well inside, inside, outside or far outside"),
    "nominal": Column("Nominal", "", "Share of true values that the intervals are to hold"),
    "interval_coverage": Column("Measured", "", "Share that they held on finished tasks"),
    "interval_coverage_q10": Column("Worst tenth", "", "That of the tasks covered worst"),
    "interval_coverage_audited": Column("Measured here", "", "Share held of the audited"),
    "half_width": Column("Half-width", "target", "Half of the interval, median"),
    "abstained": Column("No interval", "", "Share of materials without an interval"),
    "n_audited": Column("Audited", "", "Audited materials in the bin"),
    "interval": Column("Interval", "target", "Around the prediction"),
    "no_interval": Column("Why no interval", "", "What is missing for one"),
    "new_elements": Column("New elements", "", "That no training material contains"),
    "nearest": Column("Nearest", "", "Training materials, in features weighted by importance"),
    "outside": Column("Outside by", "", "Features that put the material outside"),
    "method": Column("Method", "", "offmap, or the study's own procedure"),
    "error_class": Column("Kind of error", "", "Shifted, biased, tilted, scattered or in line"),
    "slope": Column("Slope", "", "Of the best straight line of prediction against label"),
    "offset": Column("Offset", "target", "Of the best straight line, where the label is zero"),
    "mse_shift": Column("Shift", "", "Share of the mean squared error that is a shift"),
    "mse_tilt": Column("Tilt", "", "Share of the mean squared error that is a wrong slope"),
    "mse_scatter": Column("Scatter", "", "Share of the mean squared error that is scatter"),
    "bias_composition": Column(
        "Bias by composition", "target", "Part of the bias credited to compositional descriptors"
    ),
    "bias_structure": Column(
        "Bias by structure", "target", "Part of the bias credited to structural descriptors"
    ),
    "bias_local_difference": Column(
        "Bias by LocalPropertyDifference", "target", "Contained in the block it is counted with"
    ),
    "bias_base": Column("Base", "target", "Mean error of all rows the residual model has seen"),
    "bias_rest": Column("Rest", "target", "Bias that the residual model does not explain"),
    "share_composition": Column("Share of composition", "", "Of what is credited to the blocks"),
    "bias_verdict": Column("Verdict", "", "How biased the task is, and by what, in words"),
    "mae_corrected": Column(
        "Corrected MAE", "target", "With the residual model added; it has seen these labels"
    ),
    "mae_kept_out": Column("MAE, kept out", "target", "Of the kept-out fifth, uncorrected"),
    "mae_corrected_kept_out": Column(
        "Corrected MAE, kept out", "target", "The residual model has not seen this fifth"
    ),
    "error": Column("Error", "target", "Predicted minus true"),
    "composition": Column("Composition", "target", "Part of the error credited to composition"),
    "structure": Column(
        "Structure", "target", "Part credited to structure, without LocalPropertyDifference"
    ),
    "local_difference": Column(
        "Local difference", "target", "Part credited to LocalPropertyDifference"
    ),
    "rest": Column("Rest", "target", "Error that the residual model does not explain"),
    "choice": Column("Choice", "", "Which materials of the group are labelled first"),
    "remedy": Column("Remedy", "", "What is made of the labels"),
    "n_labelled": Column("Labelled", "", "Materials of the held-out group with a label"),
    "mae_rest": Column("MAE, all unlabelled", "target", "Over all that is not labelled"),
    "n_to_in_distribution": Column(
        "Labels needed", "", "Fewest labels with which the in-distribution MAE is reached"
    ),
    "reached": Column("Reached", "", "Labels with which the in-distribution MAE is reached"),
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
