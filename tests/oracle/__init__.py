"""The catalog of prebuilt images against AWS's own resolver, which needs an environment of its own.

It is run as ``oracle`` and not as ``tests.oracle``, hence the relative imports: one of the SDK's dependencies
installs a package that is called ``tests``.
"""
