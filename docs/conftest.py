"""The pages are doctests; Sphinx's configuration is not."""

collect_ignore = ["conf.py"]
