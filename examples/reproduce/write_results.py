"""Write the results page of a finished study from the tables in its folder, figures included.

    python examples/reproduce/write_results.py STUDY --beside OTHER --out docs/results.md

OTHER is a study of the same data whose models are set beside those of STUDY, on the tasks that all
of them have run. Every number comes from a table of the study folder that is named beside it. What
a study lacks (no domain analysis, no scaling curves) is left out and said to be missing.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from offmap.columns import CRITERION, HELD_OUT, SYMMETRY_CRITERIA
from offmap.plots.outcomes import FAILS, HOLDS, UNDECIDED
from offmap.report.published import published
from offmap.report.tables import Tables
from offmap.store import Store

FIGURES = (
    "elements-mae_ratio", "overview", "coverages", "published-domain", "error-density",
    "bias-parts", "exponents",
)  # fmt: skip

WORDS = (
    "The *MAE ratio* of a task is its MAE over that of the same materials in the random folds. A"
    " task *fails* if the whole interval of the ratio is above 2, and *holds* if it is at most 2"
    " ({doc}`report`). It is *interpolation* if two thirds of its test set or more lie in the"
    " domain of its training set, and *extrapolation* if less than one third do ({doc}`domain`)."
    " Intervals are 95 %, over chemical systems. Which of the published study could be repeated"
    " is said in {doc}`reproduce`."
)


def main() -> None:
    """Read the arguments, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path)
    parser.add_argument(
        "--beside", type=Path, nargs="*", default=[], help="studies of other models"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--about", default="", help="where the data are from, and whom to cite")
    given = parser.parse_args()
    tables = Tables(Store.open(given.study), tuple(map(Store.open, given.beside)))
    figures = copy_figures(
        given.study / "report" / "figures", given.out.parent / "figures" / "results"
    )
    given.out.write_text(page(tables, figures, given.about), encoding="utf-8")


def page(tables: Tables, figures: Iterable[str], about: str = "") -> str:
    """The whole page in Markdown."""
    parts = [opening(tables, about)]
    for title, table, section in SECTIONS:
        text = section(tables)
        parts.append(f"## {title}\n\n" + (text or f"Not run yet: the study has no `{table}`."))
    shown = set(figures)
    pictures = [
        f"![{words}](figures/results/{n}.svg)" for n, words in CAPTIONS.items() if n in shown
    ]
    parts.append("## Figures\n\n" + "\n\n".join(pictures))
    return "\n\n".join(parts) + "\n"


def opening(tables: Tables, about: str) -> str:
    """What was run on what."""
    facts = tables.provenance
    versions = ", ".join(f"{k} {v}" for k, v in facts.get("versions", {}).items())
    command = " ".join(
        Path(word).name if "/" in word else word for word in facts["command"].split()
    )
    models = ", ".join(f"`{series}`" for series in tables.series)
    return "\n".join(
        [
            "# Results",
            "",
            "Written from a study folder by `examples/reproduce/write_results.py`; each section"
            " names the table that its numbers are from.",
            "",
            f"- Data: {facts.get('title') or facts.get('dataset')}, {facts.get('n_materials'):,}"
            f" materials ({facts.get('n_rejected'):,} set aside), sha256"
            f" `{str(facts.get('data_sha256'))[:16]}...`. {about or facts.get('source') or ''}",
            f"- Target: `{tables.target}` ({tables.unit}).",
            f"- Models: {models}; command `{command}`.",
            f"- {facts.get('created', '')[:10]}, Python {facts.get('python')}, {versions}.",
            "",
            WORDS,
        ]
    )


def short(tables: Tables) -> str:
    """What the tables of the first model say, in sentences."""
    if not tables.series:
        return ""
    tasks = tables.tasks_of(tables.series[0])
    return "\n".join(f"- {say}" for look in SENTENCES for say in look(tables, tasks))


def _of_interpolation(tables: Tables, tasks: pd.DataFrame) -> list[str]:
    if "verdict" not in tasks or not tasks["verdict"].notna().any():
        return []
    inside = tasks[tasks["verdict"] == "interpolation"]
    beyond = tasks[tasks["verdict"] == "extrapolation"]
    error = tasks["mae"] * tasks["n_test"]
    names = ", ".join(f"{r.criterion} {r.held_out}" for r in beyond.itertuples())
    return [
        f"Of {len(tasks)} leave-one-out tasks, {len(inside)} are interpolation: they hold"
        f" {error[inside.index].sum() / error.sum():.0%} of all absolute error, and"
        f" {(inside['outcome'] == FAILS).sum()} of them fail.",
        f"{len(beyond)} are extrapolation and hold {error[beyond.index].sum() / error.sum():.0%} of"
        f" the error; {(beyond['outcome'] == FAILS).sum()} of them fail. They are {names}.",
    ]


def _of_bias(tables: Tables, tasks: pd.DataFrame) -> list[str]:
    worst = tasks[tasks[CRITERION] == "element"].nlargest(3, "mae_ratio")
    names = "; ".join(
        f"{r.held_out} {r.mae:.2f} {tables.unit}, of it {r.bias:+.2f} bias"
        for r in worst.itertuples()
    )
    said = "The elements whose error grows most when they are left out, by the MAE ratio"
    return [f"{said}: {names}."] if len(worst) else []


def _of_structure(tables: Tables, tasks: pd.DataFrame) -> list[str]:
    symmetry = tasks[CRITERION].isin(SYMMETRY_CRITERIA)
    chemistry = tasks[CRITERION].isin(["element", "period", "group"])
    if not symmetry.any() or not chemistry.any():
        return []
    failing = tasks["outcome"] == FAILS
    return [
        f"Of {symmetry.sum()} symmetry tasks {(failing & symmetry).sum()} fail, of"
        f" {chemistry.sum()} chemistry tasks {(failing & chemistry).sum()}."
    ]


def _of_more_data(tables: Tables, tasks: pd.DataFrame) -> list[str]:
    found = tables.get("scaling_laws")
    if found is None:
        return []
    laws = found[(found["test"] == "held_out") & (found["curve"] == "size")]
    words = {"helps": "helps", "no help": "does not help", "worse": "makes it worse"}
    names = laws[CRITERION].astype(str) + " " + laws[HELD_OUT].astype(str)
    told = [
        f"{said} for {', '.join(names[laws['effect'] == effect])}"
        for effect, said in words.items()
        if (laws["effect"] == effect).any()
    ]
    return [f"More data of the other kinds {'; it '.join(told)}."] if told else []


SENTENCES = (_of_interpolation, _of_bias, _of_structure, _of_more_data)


def reference(tables: Tables) -> str:
    """In-distribution scores of each model."""
    rows = tables.reference
    if not len(rows):
        return ""
    cells = [
        (f"`{r.series}`", r.n_test, interval(r, "mae"), interval(r, "r2"), interval(r, "rmse"))
        for r in rows.itertuples()
    ]
    return markdown(["model", "materials", f"MAE ({tables.unit})", "R²", "RMSE"], cells)


def criteria(tables: Tables) -> str:
    """Outcome counts and medians by criterion and model."""
    rows = []
    for series in tables.series:
        tasks = tables.tasks_of(series)
        for criterion, part in tasks.groupby(CRITERION, sort=False):
            counts = [int((part["outcome"] == o).sum()) for o in (HOLDS, UNDECIDED, FAILS)]
            good = f"{(part['r2'] > 0.95).mean():.0%}"
            middle = f"{part['mae_ratio'].median():.2f}"
            rows.append((f"`{series}`", criterion, len(part), *counts, middle, good))
    head = ["model", "criterion", "tasks", "hold", "undecided", "fail", "median MAE ratio"]
    return markdown([*head, "R² > 0.95"], rows) if rows else ""


def worst(tables: Tables) -> str:
    """The ten tasks of the first model with the largest ratio."""
    if not tables.series:
        return ""
    tasks = tables.tasks_of(tables.series[0]).nlargest(10, "mae_ratio")
    rows = [
        (f"{r.criterion} {r.held_out}", r.n_test, interval(r, "mae"), interval(r, "mae_ratio"),
         interval(r, "bias"), f"{r.pearson:.3f}", f"{r.r2:.3f}")
        for r in tasks.itertuples()
    ]  # fmt: skip
    head = ["task", "n", "MAE", "MAE ratio", "bias", "Pearson", "R²"]
    return f"Model `{tables.series[0]}`.\n\n" + markdown(head, rows)


def findings(tables: Tables) -> str:
    """Which of the published findings hold here."""
    found = published([tables.store]).findings
    says = {True: "holds", False: "does not hold", None: "not yet"}
    rows = [
        (r.finding, r.published, f"`{r.model}`", r.measured, says[r.holds])
        for r in found.itertuples()
    ]
    return markdown(["finding", "published", "model", "here", ""], rows)


def models(tables: Tables) -> str:
    """Every model on the tasks that all of them have run, here and in the studies beside."""
    scored = [tables, *(Tables(store) for store in tables.beside)]
    reference = pd.concat([t.reference for t in scored]).set_index("series")["mae"]
    every = pd.concat([t.scored for t in scored])
    every["task"] = every[CRITERION].astype(str) + " " + every[HELD_OUT].astype(str)
    mae, ratio = (
        every.pivot(index="task", columns="series", values=v) for v in ("mae", "mae_ratio")
    )
    mae = mae.dropna().loc[lambda m: m.mean(axis=1).sort_values(ascending=False).index]
    if mae.shape[1] < 2 or not len(mae):
        return ""
    order = list(reference.index)
    rows = [("in distribution", *(f"{reference[s]:.3f}" for s in order))]
    for task in mae.index:
        cells = (f"{mae.at[task, s]:.3f} ({ratio.at[task, s]:.1f})" for s in order)
        rows.append((task, *cells))
    agree = ratio.loc[mae.index].corr("spearman").to_numpy()
    least = min(agree[i, j] for i in range(len(agree)) for j in range(i))
    return (
        f"MAE in {tables.unit}, and in brackets over the model's own in-distribution MAE on the"
        f" same materials, for the {len(mae)} tasks that all of these models ran. Rank correlation"
        f" of the ratios between two models: at least {least:.2f}.\n\n"
        + markdown(["task", *(f"`{s}`" for s in order)], rows)
    )


def faithful(tables: Tables) -> str:
    """Errors in and out of the domain as the published procedure calls it."""
    found = tables.get("domain_faithful")
    if found is None:
        return ""
    verdicts = tables.verdicts
    names = [CRITERION, HELD_OUT]
    if verdicts is not None:
        mine = verdicts[[*names, "coverage", "verdict"]].rename(columns={"coverage": "ours"})
        found = found.astype(dict.fromkeys(names, str)).merge(
            mine.astype(dict.fromkeys(names, str)).drop_duplicates(names), on=names, how="left"
        )
    rows = [
        (f"{r.criterion} {r.held_out}", r.n_test, f"{r.coverage:.0%}", f"{r.mae:.3f}",
         f"{r.mae_in:.3f}", f"{r.mae_out:.3f}", f"{r.r2_in:.3f}", f"{r.r2_out:.3f}",
         f"{r.ours:.0%}, {r.verdict}" if "ours" in found else "")
        for r in found.itertuples()
    ]  # fmt: skip
    head = ["task", "n", "in domain", "MAE", "MAE in", "MAE out", "R² in", "R² out"]
    return (
        "Joint scaler and UMAP, kernel density above 0.001: as published, so **test rows were"
        " used**. Beside it the coverage that was found without them.\n\n"
        + markdown([*head, "in domain by default"], rows)
    )


def domain(tables: Tables) -> str:
    """How many tasks are interpolation, and what share of the error the others have."""
    if tables.verdicts is None or "verdict" not in tables.scored:
        return ""
    rows = []
    for series in tables.series:
        tasks = tables.tasks_of(series)
        error = tasks["mae"] * tasks["n_test"]
        for verdict, part in tasks.groupby("verdict", sort=False):
            share = f"{error[part.index].sum() / error.sum():.0%}"
            fails = int((part["outcome"] == FAILS).sum())
            middle = f"{part['mae_ratio'].median():.2f}"
            rows.append((f"`{series}`", verdict, len(part), fails, middle, share))
    head = ["model", "verdict", "tasks", "fail", "median MAE ratio", "share of all absolute error"]
    return markdown(head, rows)


def bias(tables: Tables) -> str:
    """The bias of each analysed task in words."""
    found = tables.get("bias")
    if found is None:
        return ""
    mine = found[found["method"].astype(str) == "offmap"].dropna(subset=["bias_composition"])
    rows = [
        (f"{r.criterion} {r.held_out}", f"`{r.model}`", f"{r.bias:+.3f}",
         f"{r.bias_composition:+.3f}", f"{r.bias_structure:+.3f}", r.error_class, r.bias_verdict)
        for r in mine.itertuples()
    ]  # fmt: skip
    head = ["task", "model", "bias", "composition", "structure", "kind of error", "in words"]
    return markdown(head, rows) if rows else ""


def scaling(tables: Tables) -> str:
    """The error at the largest size, the forecast for ten times as much, and the verdict."""
    found = tables.get("scaling_laws")
    if found is None:
        return ""
    laws = found[found["test"] == "held_out"].sort_values(["curve", CRITERION, HELD_OUT])
    rows = [
        (f"{r.criterion} {r.held_out}", r.curve, f"{int(r.largest):,}", f"{r.mae_largest:.3f}",
         f"{r.mae_at_10x:.3f} [{r.mae_at_10x_low:.3f}, {r.mae_at_10x_high:.3f}]"
         if r.curve == "size" else "", r.verdict)
        for r in laws.itertuples()
    ]  # fmt: skip
    head = ["task", "curve", "largest", "MAE there", "MAE at ten times, forecast", "exponents"]
    return (
        "Models trained on parts of the materials outside each group, up to four fifths of them"
        " (size), or followed over their trees (time).\n\n"
    ) + markdown(head, rows)


Section = tuple[str, str, Callable[[Tables], str]]
SECTIONS: tuple[Section, ...] = (
    ("In short", "scores", short),
    ("In distribution (`scores`)", "scores", reference),
    ("Which of the published findings hold (`scores`)", "scores", findings),
    ("By criterion (`scores`)", "scores", criteria),
    ("The worst tasks (`scores`)", "scores", worst),
    ("Other models on the same tasks (`scores`)", "scores", models),
    ("Interpolation or extrapolation (`verdicts`)", "verdicts", domain),
    ("The published domains (`domain_faithful`)", "domain_faithful", faithful),
    ("Where the bias comes from (`bias`)", "bias", bias),
    ("Would more data help (`scaling_laws`)", "scaling_laws", scaling),
)

CAPTIONS = {
    "elements-mae_ratio": "Leaving each element out: MAE over the in-distribution MAE",
    "overview": "MAE ratio of every task",
    "coverages": "Coverage against error over all tasks",
    "published-domain": "Errors in and out of the domain, as the published procedure calls it",
    "error-density": "Error against the density of the published procedure",
    "bias-parts": "Bias by composition and structure",
    "exponents": "Exponents of the learning curves",
}


def copy_figures(source: Path, target: Path) -> list[str]:
    """Copy what there is of the figures that the page shows."""
    found = [name for name in FIGURES if (source / f"{name}.svg").is_file()]
    target.mkdir(parents=True, exist_ok=True)
    for name in found:
        shutil.copy(source / f"{name}.svg", target / f"{name}.svg")
    return found


def interval(row: object, name: str) -> str:
    """A score with its interval."""
    value, low, high = (getattr(row, f"{name}{end}", float("nan")) for end in ("", "_low", "_high"))
    return f"{value:.3f}" if pd.isna(low) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def markdown(head: list[str], rows: Iterable[tuple[object, ...]]) -> str:
    """A table; bars in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


if __name__ == "__main__":
    main()
