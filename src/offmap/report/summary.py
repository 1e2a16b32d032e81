"""The opening of the report: what happened, in words and numbers, and what not to conclude."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from offmap.columns import CRITERION, HELD_OUT, N_TEST, N_TRAIN, label
from offmap.plots.outcomes import FAILS, HOLDS, RATIO_LIMIT, UNDECIDED, UNKNOWN, is_shifted
from offmap.plots.words import counted, estimate, number, percent
from offmap.report.section import task_link

_LIMIT = number(RATIO_LIMIT, 2).removesuffix(".0")

# Failing tasks that are described one by one; the table has the others.
_DESCRIBED = 6
_LISTED = 8

_LOW_R2 = 0.9
_POOR_R2 = 0.5

# The verdict of the domain analysis on a test set that lies outside the training data.
_INSIDE = "interpolation"
_OUTSIDE = "extrapolation"


@dataclass(frozen=True)
class Summary:
    """Words about one model.

    Parameters
    ----------
    paragraphs
        What happened.
    cautions
        What the reader should not conclude.
    """

    paragraphs: tuple[Markup, ...]
    cautions: tuple[Markup, ...]

    @property
    def text(self) -> str:
        """The same as plain text."""
        return "\n".join(part.striptags() for part in (*self.paragraphs, *self.cautions))


def summarise(
    tasks: pd.DataFrame, reference: pd.DataFrame, unit: str = "", target: str = "", series: str = ""
) -> Summary:
    """Describe one model.

    Parameters
    ----------
    tasks
        Scored tasks of the model, as :func:`offmap.plots.outcomes.task_scores` gives them.
    reference
        Its pooled in-distribution row; may be empty.
    unit, target, series
        Unit of the target, its name, and the name of the model.
    """
    if not len(tasks):
        words = "No task of {} is scored yet, so nothing can be said about failures."
        return Summary((Markup(words).format(series or "any model"), *_inside(reference, unit)), ())
    known = tasks[tasks["outcome"] != UNKNOWN]
    paragraphs = [_counts(tasks, known, target, series), *_middle(known), *_inside(reference, unit)]
    failing = known[known["outcome"] == FAILS]
    if len(known) and not len(failing):
        paragraphs.append(Markup("No task fails by this definition."))
    if len(failing):
        paragraphs += [_failures(failing, unit), _bias(failing)]
    if "verdict" in known:
        paragraphs += _domain(known)
    return Summary(tuple(paragraphs), tuple(_cautions(tasks, known, reference)))


def _counts(tasks: pd.DataFrame, known: pd.DataFrame, target: str, series: str) -> Markup:
    n = len(tasks)
    if not len(known):
        words = "{} of model {} are scored, but none has an in-distribution reference yet."
        return Markup(words).format(counted(n, "task"), series)
    n = len(known)
    holds, undecided, fails = (
        int((known["outcome"] == name).sum()) for name in (HOLDS, UNDECIDED, FAILS)
    )
    words = (
        "Of {tasks} that model {series} was tested on ({target}), <strong>{holds} ({share}) stay"
        " within {limit} times</strong> the in-distribution error, <strong>{fails}</strong>, and"
        " {undecided} cannot be decided because the interval contains {limit}. {bounds}"
    )
    bounds = (
        f"So between {percent(holds / n)} and {percent((holds + undecided) / n)} of the tasks hold."
        if undecided
        else ""
    )
    return Markup(words).format(
        tasks=counted(n, "leave-one-out task"),
        series=series,
        target=f"target {target}" if target else "one target",
        holds=f"{holds:,}",
        share=percent(holds / n),
        limit=_LIMIT,
        fails=f"{fails:,} {'fails' if fails == 1 else 'fail'} ({percent(fails / n)})",
        undecided=f"{undecided:,} ({percent(undecided / n)})",
        bounds=bounds,
    )


def _middle(known: pd.DataFrame) -> list[Markup]:
    if len(known) < 2:
        return []
    low, middle, high = known["mae_ratio"].quantile([0.25, 0.5, 0.75])
    words = "On the median task the error is {} times that in distribution (middle half: {} to {})."
    return [Markup(words).format(number(middle, 2), number(low, 2), number(high, 2))]


def _inside(reference: pd.DataFrame, unit: str) -> list[Markup]:
    if not len(reference):
        return []
    row = reference.iloc[0]
    words = "In distribution (random folds, all materials) the MAE is {} and R² is {}."
    mae = estimate(row["mae"], row.get("mae_low"), row.get("mae_high"), unit)
    r2 = estimate(row["r2"], row.get("r2_low"), row.get("r2_high"))
    return [Markup(words).format(mae, r2)]


def _failures(failing: pd.DataFrame, unit: str) -> Markup:
    worst = failing.nlargest(_DESCRIBED, "mae_ratio").to_dict("records")
    one = Markup("<strong>{task}</strong> (MAE {mae}, {ratio} times in-distribution; bias {bias})")
    described = [
        one.format(
            task=task_link(row[CRITERION], row[HELD_OUT]),
            mae=estimate(row["mae"], row.get("mae_low"), row.get("mae_high"), unit),
            ratio=estimate(row["mae_ratio"], row.get("mae_ratio_low"), row.get("mae_ratio_high")),
            bias=("+" if row["bias"] > 0 else "")
            + estimate(row["bias"], row.get("bias_low"), row.get("bias_high"), unit),
        )
        for row in worst
    ]
    more = len(failing) - len(worst)
    ending = f"; {more:,} more are in the table." if more else "."
    return Markup("{} when held out: ").format(_verb(failing)) + joined(described) + ending


def _verb(failing: pd.DataFrame) -> str:
    return "This one fails" if len(failing) == 1 else "These fail (worst first)"


def _bias(failing: pd.DataFrame) -> Markup:
    low, high = _ends(failing, "bias")
    too_high, too_low = int((low > 0).sum()), int((high < 0).sum())
    shifted = failing[is_shifted(failing)]
    words = (
        "The error is signed: of {fails}, {high} predicted too high on average and {low} too low"
        " (the interval of the bias excludes zero). "
    )
    text = Markup(words).format(
        fails=counted(len(failing), "failing task"),
        high=_are(too_high),
        low=f"{too_low:,}",
    )
    if len(shifted):
        names = links(shifted, _LISTED)
        words = "In {} the ranking survives (r ≥ 0.9) while a common shift makes up at least half"
        text += Markup(words).format(names) + Markup(" of the MAE.")
    return text


def _domain(known: pd.DataFrame) -> list[Markup]:
    """Outcome and domain verdict together: what was put to the test at all."""
    judged = known[known["verdict"].notna()]
    if not len(judged):
        return []
    counts = judged["verdict"].value_counts()
    outside = judged[judged["verdict"] == _OUTSIDE]
    words = "The domain analysis calls {}. So {} of the tasks test extrapolation at all{}."
    held = int((outside["outcome"] == HOLDS).sum())
    ending = f"; the model holds on {held:,} of these" if len(outside) else ""
    verdicts = joined([Markup("{} {}").format(n, name) for name, n in counts.items()])
    text = Markup(words).format(verdicts, percent(len(outside) / len(judged)), ending)
    inside = judged["verdict"] == _INSIDE
    total = judged["mae"] * judged[N_TEST]
    if total.sum() > 0:
        words = " {} of {} tasks are interpolation by name only; the others make up {} of the test"
        words += " rows and {} of all absolute error."
        rows = judged.loc[~inside, N_TEST].sum() / judged[N_TEST].sum()
        error = total[~inside].sum() / total.sum()
        text += Markup(words).format(
            f"{int(inside.sum()):,}", f"{len(judged):,}", percent(rows), percent(error)
        )
    return [text]


def _cautions(
    tasks: pd.DataFrame, known: pd.DataFrame, reference: pd.DataFrame
) -> Iterable[Markup]:
    if "verdict" not in tasks:
        yield Markup(
            "A task that holds is no proof of extrapolation: most leave-one-out test sets lie where"
            " training data lie too. This study has no domain analysis yet."
        )
    low_r2 = known[(known["outcome"] == HOLDS) & (known["r2"] < _LOW_R2)]
    if len(low_r2):
        r2_inside = low_r2.get("r2_in_distribution", low_r2["r2"])
        words = (
            "R² alone misleads: {} {} R² below 0.9 although the error stays within {} times that in"
            " distribution. On {} of {} R² is below 0.9 in distribution too, because the labels of"
            " the test set lie close together. Read MAE ratio and MAE / MAD beside it."
        )
        has, n = "has" if len(low_r2) == 1 else "have", len(low_r2)
        yield Markup(words).format(
            links(low_r2, _LISTED), has, _LIMIT, int((r2_inside < _LOW_R2).sum()), n
        )
    if len(reference) and reference["r2"].iloc[0] < _POOR_R2:
        words = (
            "This model is poor in distribution already (R² {}), so to hold means little: staying"
            " close to a large error is no merit."
        )
        yield Markup(words).format(number(reference["r2"].iloc[0], 2))
    yield Markup(
        "Tasks overlap (an oxide of iron is in the tests of O, of Fe, of their groups and periods),"
        " so shares of tasks are descriptions, not probabilities."
    )
    yield Markup(
        "Intervals come from resampling the chemical systems of a test set. They do not contain"
        " what another seed or another training run would change."
    )
    if len(reference) and len(known):
        inside, smallest = int(reference[N_TRAIN].iloc[0]), int(known[N_TRAIN].astype(int).min())
        if smallest < 0.8 * inside:
            few = int((known[N_TRAIN] < 0.8 * inside).sum())
            words = (
                "Some of the increase is plain lack of data: {} trained on fewer than 80{}% of the"
                " {:,} materials that the random folds trained on (the fewest: {:,})."
            )
            yield Markup(words).format(
                f"{counted(few, 'task')} {'was' if few == 1 else 'were'}", "\xa0", inside, smallest
            )


def links(tasks: pd.DataFrame, most: int) -> Markup:
    """Tasks as a list of links, the worst ``most`` of them."""
    worst = tasks.nlargest(most, "mae_ratio") if "mae_ratio" in tasks else tasks.head(most)
    found = [task_link(c, h) for c, h in zip(worst[CRITERION], worst[HELD_OUT], strict=True)]
    if len(tasks) > len(worst):
        found.append(Markup("{:,} more").format(len(tasks) - len(worst)))
    return joined(found)


def joined(parts: list[Markup]) -> Markup:
    """``a``, ``a and b``, ``a, b and c``; with semicolons where parts have commas of their own."""
    comma = Markup("; ") if any(", " in part.striptags() for part in parts) else Markup(", ")
    if len(parts) < 2:
        return Markup("").join(parts)
    return comma.join(parts[:-1]) + (Markup("; ") if comma == "; " else Markup(" and ")) + parts[-1]


def definition(unit: str = "") -> Markup:
    """What "fails" and "holds" mean, in one sentence each."""
    words = (
        "A task <em>holds</em> if the whole interval of its MAE ratio is at most {limit}, <em>fails"
        "</em> if the whole interval is above {limit}, and is <em>undecided</em> otherwise. {mae}"
        " ratio: MAE on the held-out materials over the MAE on the same materials when materials"
        " like them were in the training set (random folds)."
    )
    return Markup(words).format(limit=_LIMIT, mae=label("mae", unit).partition(" (")[0])


def _ends(frame: pd.DataFrame, name: str) -> tuple[pd.Series, pd.Series]:
    value = frame[name]
    low, high = frame.get(f"{name}_low", value), frame.get(f"{name}_high", value)
    return low.fillna(value), high.fillna(value)


def _are(n: int) -> str:
    return f"{n:,} {'is' if n == 1 else 'are'}"
