"""Sphinx: `sphinx-build -W -b html docs docs/_build/html` builds it all, and downloads nothing."""

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from latex2mathml.converter import convert

import sklearn_derand

project = "sklearn_derand"
copyright = "The sklearn_derand developers"
version = release = sklearn_derand.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
root_doc = "index"
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery/**/*.py.md5", "sg_execution_times.rst"]
nitpicky = True  # every reference resolves, but those to other projects: their inventories are not downloaded
nitpick_ignore_regex = [("py:.*", r"(sklearn|numpy|scipy|torch|matplotlib)\..*")]
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "sklearn_derand"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 6,
    "pygments_light_style": "tango",
}
html_sidebars = dict.fromkeys(
    ("index", "getting_started", "benchmarks/index", "scaling", "add_a_problem", "reliability", "changes"), []
)

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(benchmarks|__init__)",
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
    "plot_gallery": "True",
    "abort_on_example_error": True,
}


def _inline(translator, node):
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(translator, node):
    formula = node.astext()
    if "&" in formula:
        formula = rf"\begin{{split}}{formula}\end{{split}}"
    translator.body.append(f'<div class="math-block">{convert(formula, display="block")}</div>')
    raise nodes.SkipNode


class Benchmark(Directive):
    """Show ``benchmarks/NAME.txt``, or say how to print it.

    It is the output of ``examples/benchmarks/NAME.py``, or of the one whose name, with an underscore, NAME begins with.
    """

    required_arguments = 1

    def run(self):
        name = self.arguments[0]
        docs = Path(__file__).parent
        stem = name
        while not (docs.parent / "examples" / "benchmarks" / f"{stem}.py").exists():
            stem = stem[: stem.rindex("_")]
        script = f"``python examples/benchmarks/{stem}.py --help``"
        lines = [f"``{name}.txt`` has not been printed for this version; {script} tells how.", ""]
        if (docs / "benchmarks" / f"{name}.txt").exists():
            lines = [f".. literalinclude:: /benchmarks/{name}.txt", "   :language: text", "", f"Again: {script}.", ""]
        parent = nodes.Element()
        self.state.nested_parse(StringList(lines, source=f"benchmark {name}"), self.content_offset, parent)
        return parent.children


def setup(app):
    """Write formulas as MathML, which browsers draw themselves: pages read the same without a network."""
    app.add_directive("benchmark", Benchmark)
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
