"""Write the gallery of the documentation from the figures that reports have left in study folders.

    python examples/make_gallery.py STUDY... --out docs/gallery.md

Each figure is copied from the first of the studies that has it.
"""

from __future__ import annotations

import argparse
import shutil
import tomllib
from pathlib import Path

# File in report/figures (of one model, or of LightGBM), what it shows, and what made it.
WANTED = {
    "elements-mae_ratio": ("Leaving each element out: MAE over the in-distribution MAE", "run"),
    "overview": ("Every task: MAE over the in-distribution MAE, by criterion", "run"),
    "bars-crystal_system-mae_ratio": ("Leaving each crystal system out", "run"),
    "shifts": ("Bias against error: which tasks are merely shifted", "run"),
    "coverages": ("Share of the test set in the domain against error", "domain"),
    "matched-gap": ("What R² hides: each task beside its matched control", "domain"),
    "published-domain": ("The published domains: errors in and out of them", "domain --faithful"),
    "error-density": ("Error against the density of the published map", "domain --faithful"),
    "bias-parts": ("Bias by composition and structure", "bias"),
    "scaling-element-F": ("Leaving F out: error over training materials", "scaling"),
    "scaling-time-element-F": ("Leaving F out: error over training rounds", "scaling"),
    "scaling-added-element-O": ("Leaving O out: which data to add", "scaling --which-data"),
    "exponents": ("Exponents of the learning curves", "scaling"),
}

OPENING = """# Gallery

Figures of the report, as it leaves them in `STUDY/report/figures`, each with a CSV of its numbers
beside it; on the page they are interactive. `examples/make_gallery.py` copied these from finished
studies. In Python, `result.figure(name)` of a {class}`Run <offmap.results.Run>` gives the same.
"""


def main() -> None:
    """Read the arguments, copy the figures, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("docs/gallery.md"))
    given = parser.parse_args()
    target = given.out.parent / "figures" / "gallery"
    target.mkdir(parents=True, exist_ok=True)
    parts = [OPENING]
    for name, (words, command) in WANTED.items():
        for study in given.study:
            if (source := drawn(study, name)) is not None:
                file = f"{name}.svg"
                shutil.copy(source, target / file)
                made = f"`offmap {command}`; {about(study)}."
                parts.append(f"## {words}\n\n![{words}](figures/gallery/{file})\n\n{made}\n")
                break
    given.out.write_text("\n".join(parts), encoding="utf-8")


def drawn(study: Path, name: str) -> Path | None:
    """The file of a figure, if the report of the study has it."""
    folder = study / "report" / "figures"
    found = (folder / f"{name}{ending}.svg" for ending in ("", "-lgbm"))
    return next((path for path in found if path.is_file()), None)


def about(study: Path) -> str:
    """The data and the model of a study."""
    settings = tomllib.loads((study / "study.toml").read_text(encoding="utf-8"))
    facts = settings["provenance"]
    sample = " drawn at random" if settings["limit"] else ""
    return f"{facts['title']}, {facts['n_materials']:,} materials{sample}, LightGBM"


if __name__ == "__main__":
    main()
