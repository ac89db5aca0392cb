"""Who may do what to which asset or album, as [SRC utils/access.ts] and the recorded refusals say."""

from __future__ import annotations

from collections.abc import Iterable

from tests.fakes.immich.records import Album, Asset, SharedLink
from tests.fakes.immich.state import World

OWNER_ONLY = frozenset(
    {"asset.update", "asset.delete", "asset.copy", "album.delete", "albumUser.create", "album.share"}
)
ALBUM_ROLES = {
    "album.read": ("owner", "editor", "viewer"),
    "album.update": ("owner", "editor"),
    "album.delete": ("owner",),
    "album.share": ("owner",),
    "albumAsset.create": ("owner", "editor"),
    "albumAsset.delete": ("owner", "editor"),
}
"""editor-rename, err-viewer-rename, err-editor-delete-album, err-viewer-add-assets, err-viewer-remove-assets."""


class Access:
    """What one caller reaches: a user with a key, or whoever holds a shared link."""

    def __init__(self, world: World, user: str, link: SharedLink | None = None) -> None:
        self.user = user
        self.link = link
        self._world = world

    def asset(self, id: str, permission: str) -> Asset | None:
        """The asset, if that permission reaches it; locked ones never (immich.md §2)."""
        asset = self._world.assets.get(id)
        if asset is None or asset.visibility == "locked":
            return None
        if self.link:
            return asset if self._linked(asset, permission) else None
        if asset.owner == self.user:
            return asset
        if permission in OWNER_ONLY:
            return None
        if permission == "asset.share":
            return asset if self._partner(asset) else None
        return asset if self._in_my_album(asset) or self._partner(asset) else None

    def all_assets(self, ids: Iterable[str], permission: str) -> list[Asset] | None:
        """All of them, or None if one is not reached: one bad id makes the whole call fail (immich.md §5)."""
        found = [self.asset(id, permission) for id in ids]
        return [asset for asset in found if asset] if all(found) else None

    def album(self, id: str, permission: str) -> Album | None:
        """The album, if the caller's role in it allows that."""
        album = self._world.albums.get(id)
        if album is None:
            return None
        if self.link:
            return album if self.link.album == id and permission == "album.read" else None
        return album if album.role(self.user) in ALBUM_ROLES[permission] else None

    def albums(self) -> list[Album]:
        """Own ones and those shared with the caller, the newest first."""
        mine = [album for album in self._world.albums.values() if album.role(self.user)]
        return sorted(mine, key=lambda album: -album.created)

    def searched_users(self) -> set[str]:
        """Whose libraries a search without albums covers on v3: one's own and partners' in the timeline."""
        shown = {by for (by, to), in_timeline in self._world.partners.items() if to == self.user and in_timeline}
        return shown | {self.user}

    def _in_my_album(self, asset: Asset) -> bool:
        albums = self._world.memberships.get(asset.id, set()) | self._of_still(asset)
        return not asset.trashed and any(self._world.albums[id].role(self.user) for id in albums)

    def _of_still(self, asset: Asset) -> set[str]:
        """Albums of the photo whose moving half this is: guests may play it too."""
        if asset.visibility != "hidden":
            return set()
        stills = (still for still in self._world.assets.values() if still.live_video == asset.id)
        return set().union(*(self._world.memberships.get(still.id, set()) for still in stills))

    def _partner(self, asset: Asset) -> bool:
        return (asset.owner, self.user) in self._world.partners and asset.visibility in ("timeline", "hidden")

    def _linked(self, asset: Asset, permission: str) -> bool:
        assert self.link
        if permission == "asset.download" and not self.link.download:
            return False
        if permission not in ("asset.read", "asset.view", "asset.download"):
            return False
        album = self._world.albums.get(self.link.album or "")
        return asset.id in self.link.assets or (album is not None and asset.id in album.members and not asset.trashed)
