"""Evidence commands: ``python -m benchmarks`` lists them, ``python -m benchmarks NAME`` runs one of them.

A benchmark holds values against a bound. It is one module of this folder that defines ``SUMMARY: str``,
``add_arguments(parser)`` and ``run(args) -> Outcome`` (see :mod:`benchmarks.runner`). Its name is that of the module,
with ``-`` for ``_``.
"""
