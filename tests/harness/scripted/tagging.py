"""Tags and favorites of the pretended server: what is set and unset of many assets in one call."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from iiiffs.errors import AssetGone, Rejected
from iiiffs.model.gallery import AssetId
from iiiffs.providers.views import LIBRARY, Favorites, Mark, Named, OfTag
from tests.harness.scripted.answers import Answers
from tests.harness.scripted.records import StoredAsset, number_of


class Tagging:
    """One transaction a verb. `refused`: assets that stay as they are, whatever they are."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._index = answers.index

    def make(self, name: str) -> Named:
        """Rule: HasWriting.make_tag."""
        if not name.strip("/") or "//" in name:
            raise Rejected(f"{name!a} can be no tag")
        with self._index.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO tags (name) VALUES (?)", (name,))
            self._index.touch(["tags"])
            return next(tag for tag in self._answers.tags() if tag.name == name)

    def tag(self, mark: Mark, assets: Sequence[AssetId], refused: Collection[AssetId] = ()) -> dict[AssetId, str]:
        """Rule: HasWriting.tag."""
        failed: dict[AssetId, str] = {}
        with self._index.transaction() as connection:
            number = None if isinstance(mark, Favorites) else self._tag(mark)
            if number == -1:
                raise AssetGone("there is no such tag")
            for id in assets:
                stored = self._index.asset(id)
                if id in refused:
                    failed[id] = "no_permission"
                elif stored is None or stored.is_trashed:
                    failed[id] = "not_found"
                elif number is None:
                    self._favor(stored, is_favorite=True)
                else:
                    connection.execute("INSERT OR IGNORE INTO tagged VALUES (?, ?)", (number, stored.number))
                    self._index.touch([LIBRARY])
        return failed

    def untag(self, mark: Mark, assets: Sequence[AssetId], refused: Collection[AssetId] = ()) -> dict[AssetId, str]:
        """Rule: HasWriting.untag."""
        failed: dict[AssetId, str] = {}
        with self._index.transaction() as connection:
            number = None if isinstance(mark, Favorites) else self._tag(mark)
            for id in assets:
                stored = self._index.asset(id)
                if id in refused:
                    failed[id] = "no_permission"
                elif stored is not None and number is None:
                    self._favor(stored, is_favorite=False)
                elif stored is not None and isinstance(mark, OfTag):
                    connection.execute("DELETE FROM tagged WHERE tag = ? AND asset = ?", (number, stored.number))
                    self._index.touch([LIBRARY])
                    if stored.number in self._answers.tagged(mark.id):
                        failed[id] = "it has a tag below this one"
        return failed

    def _tag(self, mark: OfTag) -> int:
        number = number_of("tag", mark.id)
        return number if any(tag.id == mark.id for tag in self._answers.tags()) else -1

    def _favor(self, stored: StoredAsset, *, is_favorite: bool) -> None:
        if stored.favorite != is_favorite:
            self._index.update_asset(stored.number, favorite=is_favorite)
            self._index.touch([*(album for album in [self._answers.home(stored)] if album != LIBRARY), LIBRARY])
