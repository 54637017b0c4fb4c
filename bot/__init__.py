"""basisbot: trades the basis, delta neutral."""

__version__ = "0.1.0"
