"""Settings of the documentation."""

from importlib.metadata import version as _version

project = "offmap"
author = "The offmap developers"
copyright = "2026, the offmap developers"
version = release = _version("offmap")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.doctest",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "offmap"
exclude_patterns = ["_build"]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_attr_annotations = False
nitpicky = False
