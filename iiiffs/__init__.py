"""iiiffs: photo galleries mounted as directories that speak IIIF."""

__version__ = "0.1.0"
