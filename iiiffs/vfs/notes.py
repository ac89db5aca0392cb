"""What a person should know of a file and would not see: the xattr `user.iiiffs.note`, and what `iiiffs why` prints."""

from __future__ import annotations

from iiiffs.model.gallery import Asset, AssetId
from iiiffs.tree.names import legal_name
from iiiffs.vfs.overlay import Overlay


def has_note(overlay: Overlay | None, asset: AssetId) -> bool:
    """There is something to tell of the asset; nobody is asked."""
    return overlay is not None and (bool(overlay.not_carried(asset)) or bool(overlay.other_names(asset)))


def note_of(overlay: Overlay | None, asset: Asset) -> str | None:
    """What is to be told of it, in one line; None for nothing."""
    if overlay is None:
        return None
    told = []
    if lost := overlay.not_carried(asset.id):
        told.append(f"its bytes were replaced here, and the server could not carry over {', '.join(lost)}")
    own = legal_name(asset.name)
    if others := sorted(set(overlay.other_names(asset.id)) - {own}):
        told.append(f"the server keeps these bytes once, as {own} ({asset.id}); {', '.join(others)} is a name for them")
    return "; ".join(told) or None
