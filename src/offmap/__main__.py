"""``python -m offmap``."""

from offmap.cli import main

main()
