"""Models: trees, baselines, and anything that scikit-learn would take."""
