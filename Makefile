# `make check` is what continuous integration runs after the tests.
.PHONY: help check lint types imports docs audit test bench

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/'

check: lint types imports docs audit  ## everything but the tests

lint:  ## style and common errors
	ruff check .
	ruff format --check .

types:  ## static types, strict
	mypy

imports:  ## the layers of the package
	lint-imports

docs:  ## build the documentation, warnings are errors
	sphinx-build -q -W --keep-going -b html docs docs/_build/html

audit:  ## known weaknesses of the pinned packages, where they can be looked up
	.ci/audit

test:  ## the tests
	pytest -n 2 --dist worksteal

bench:  ## the benchmarks that need no real data
	for script in benchmarks/bench_*.py; do python $$script --help > /dev/null || exit 1; done
	@echo "each benchmark is run on its own: python benchmarks/bench_<name>.py --help"
