"""Times that were set here of files whose provider goes on telling their own (Immich): shown here as they were set.

Such a provider changes when a photo was taken, and has no call for the file's time. `stat` shows one time, and what was
set is what programs expect to find (rsync and make compare it), so it is kept, as the edit that said it, for the asset
that it was said of: what takes that one's place came with a time of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from iiiffs.model.gallery import Asset, AssetId
from iiiffs.model.writing import Edit
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.vfs.queue import Queue

SAME_NS = 10**9
"""Many providers keep seconds."""


async def end_told(queue: Queue, told: Sequence[Item], edited: Asset | None) -> None:
    """Edits of one asset that were told are no more, but for a time that its provider does not show. `edited`: as it
    told of the asset then. Errors: StoreFull, StoreError."""
    ended = [item.id for item in told]
    last = _last(queue, told)
    if last is None or last.edit is None or last.edit.mtime_ns is None or edited is None:
        await queue.drop_all(ended)
        return
    ended += kept_times(queue, edited.id)
    if abs(edited.mtime_ns - last.edit.mtime_ns) < SAME_NS:
        await queue.drop_all(ended)
        return
    edit = Edit(mtime_ns=last.edit.mtime_ns)
    kept = replace(last, stage=Stage.KEPT, edit=edit, assets=(edited.id,), tries=0, reason=None)
    await queue.exchange(kept, ended)


def kept_times(queue: Queue, asset: AssetId) -> list[str]:
    """Ids of what keeps a time that was set of the asset."""
    return [item.id for item in queue.about(asset) if is_kept_time(item)]


def is_kept_time(item: Item) -> bool:
    """Its provider was told, and shows the file's own time."""
    return item.verb is Verb.EDIT and item.stage is Stage.KEPT


def _last(queue: Queue, told: Sequence[Item]) -> Item | None:
    """What set the time last, if anything did and nobody has discarded it since."""
    dates = [item for item in told if item.edit is not None and item.edit.mtime_ns is not None]
    last = max(dates, key=lambda item: item.order, default=None)
    return None if last is None else queue.get(last.id)
