"""What people said of a file: by the provider, and by whoever said it here and it was not sent yet."""

from __future__ import annotations

from iiiffs.model.gallery import Asset, AssetId
from iiiffs.model.writing import Edit
from iiiffs.tree.places import Place
from iiiffs.vfs.gallery import Gallery


async def said_of(gallery: Gallery, id: AssetId, asset: Asset | None, name: str) -> str | None:
    """`name`: "description", "rating" or "favorite"; None where nothing is said. `asset`: None while only this machine
    has its bytes. May take a question. Errors: as Gallery.facts and Gallery.names."""
    pending = Edit() if gallery.overlay is None else gallery.overlay.edits.of(id)
    match name:
        case "favorite":
            return await _favorite(gallery, id, pending.favorite)
        case "description" if pending.description is not None:
            return pending.description or None
        case "rating" if pending.rating is not None:
            return str(pending.rating) if pending.rating else None
    if asset is None:
        return None
    said = (await gallery.facts(asset)).description
    if name == "description":
        return said.summary[0][1] if said.summary else None
    return None if said.rating is None else str(said.rating)


async def _favorite(gallery: Gallery, id: AssetId, pending: bool | None) -> str | None:
    """ "0" or "1"."""
    if pending is not None:
        return str(int(pending))
    if gallery.library is not None:
        entry = gallery.library.index.entry(id)
        return None if entry is None else str(int(entry.is_favorite))
    favorites = gallery.tops.get("favorites")
    if favorites is None or gallery.place(favorites) is not Place.FAVORITES:
        return None
    return str(int((await gallery.names(favorites)).name_of(id) is not None))
