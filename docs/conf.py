"""Sphinx's settings: the pages of this folder, the commands and the docstrings become one site.

`make docs` builds it, and so does `make check`, with every warning an error. Nothing is fetched.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes

from edgekit.core.version import __version__

project = "edgekit"
author = "the edgekit authors"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
]
root_doc = "index"
source_suffix = {".md": "markdown"}
nitpicky = True
# What belongs to Python, numpy and msgspec is not linked: their inventories are on the network.
nitpick_ignore_regex = [("py:.*", r"(?!edgekit\.).*"), ("py:.*", r".*\.T")]

# The pages are read on code forges as well: plain Markdown, headings named as forges name them.
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4

# Docstrings are Google's form; `a name` in them is code, as it is in the pages.
default_role = "code"
smartquotes = False  # --json is an option and no dash
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"edgekit {__version__}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# No font and no script comes from elsewhere: the site opens offline.
html_static_path = ["_static"]
html_css_files = ["edgekit.css"]

# For `make docs-links`, on a machine with a network.
linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_anchors = False


def setup(app: Any) -> None:
    """Register what follows."""
    app.connect("doctree-read", _no_mail)


def _no_mail(_app: Any, tree: nodes.document) -> None:
    """BUNDLE@VARIANT is a name; reStructuredText takes it for the address of a mail."""
    for link in list(tree.findall(nodes.reference)):
        if link.get("refuri", "").startswith("mailto:"):
            link.replace_self(link.children)
