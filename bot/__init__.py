"""basisbot: trades the basis, delta neutral."""

__version__ = "0.2.0"
