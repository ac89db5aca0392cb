"""What must not be lost. Other packages take `State` from here."""

from iiiffs.state.store import State

__all__ = ["State"]
