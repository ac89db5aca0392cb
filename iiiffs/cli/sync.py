"""`iiiffs sync LOCALDIR ALBUM`: what one side lacks is copied there; nothing is deleted or overwritten."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from iiiffs.cli.arguments import AsJson, ConfigFile
from iiiffs.cli.daemon_answers import Answer, answered, answered_rows, plain_console, printable, rows_of, socket_of
from iiiffs.cli.folder_copies import album_files, download, local_files, upload, with_sums
from iiiffs.errors import BadSyntax, IiiffsError
from iiiffs.sync.folders import FolderPlan, folder_plan, sums_needed

UPLOAD, DOWNLOAD = "upload", "download"
STAYS = "it has a temporary name, and stays on the machine that mounts the album; rename it"
EMPTY = "it is empty, and stays on the machine that mounts the album"


@dataclass(slots=True)
class SyncResult:
    """What became of it. `succeeded`: (name, way). `failed`: name -> why. `pending`: accepted, and still to be sent."""

    album: str
    succeeded: list[tuple[str, str]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    unchanged: int = 0

    @property
    def exit_code(self) -> int:
        """0 if nothing failed and nothing is in conflict; what is pending goes on by itself."""
        return 1 if self.failed or self.conflicts else 0

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "album": self.album,
            "succeeded": [{"name": name, "way": way} for name, way in self.succeeded],
            "failed": [{"name": name, "error": error} for name, error in self.failed.items()],
            "pending": self.pending,
            "conflicts": self.conflicts,
            "unchanged": self.unchanged,
        }


def sync(
    localdir: Annotated[Path, typer.Argument(metavar="LOCALDIR", help="A folder of yours.")],
    album: Annotated[
        str, typer.Argument(metavar="ALBUM", help="An album's directory in the mount, or its path below the mount.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Copy to the album what only LOCALDIR has, and to LOCALDIR what only the album has. Sub-folders are left alone.

    Nothing is deleted or overwritten; files of one name with other bytes are reported. An album that is not there is
    made. Exit codes: 0 done (what is pending is safe here, and will be sent); 1 something failed or is in conflict;
    2 configuration or argument; 5 no daemon answers.
    """
    socket = socket_of(config)
    root, place = album_place(answered(socket, "status"), album)
    must_be_another(localdir, root / place)
    folder, is_new = root / place, not (root / place).exists()
    local, sub_folders = local_files(localdir)
    remote = {} if is_new else album_files(folder)
    ours, theirs = sums_needed(local, remote)
    plan = folder_plan(with_sums(localdir, local, ours), with_sums(folder, remote, theirs))
    if sub_folders and not as_json:
        typer.echo(f"notice: {sub_folders} sub-folders of {localdir} are left alone", err=True)
    if dry_run:
        _print_plan(plan, place, as_json)
        raise typer.Exit(1 if plan.conflicts else 0)
    if is_new:
        _make(folder)
    result = _done(plan, localdir, folder, place)
    queued(result, place, plan.same, lambda: answered_rows(socket, "queue.list"))
    _print_result(result, as_json)
    raise typer.Exit(result.exit_code)


def album_place(status: Answer, album: str) -> tuple[Path, str]:
    """The mount's root, and the album's path below it. Errors: BadSyntax if it is not below, or no album can be it."""
    from iiiffs.mountpoints import canonical_mountpoint

    root = Path(str(status.get("mountpoint")))
    asked = Path(album).expanduser()
    at = canonical_mountpoint(asked)
    if at.is_relative_to(root):
        asked = at.relative_to(root)
    elif asked.is_absolute() or not (root / asked).parent.exists():
        raise BadSyntax(f"{album}: not in the mount at {root}; name an album's directory there")
    accounts = {str(row.get("slug")) for row in rows_of(status.get("accounts"))}
    if len(asked.parts) < 2 or asked.parts[0] not in accounts or ".." in asked.parts:
        raise BadSyntax(f"{album}: no album's directory; name one such as `ACCOUNT/albums/TITLE`")
    return root, asked.as_posix()


def must_be_another(localdir: Path, album: Path) -> None:
    """A folder is not the album itself, by whatever path. Errors: BadSyntax."""
    from iiiffs.mountpoints import canonical_mountpoint

    if canonical_mountpoint(localdir.expanduser()) == album:
        raise BadSyntax(f"{localdir}: that is the album itself; name the folder that it is compared with")


def queued(result: SyncResult, place: str, same: Collection[str], listed: Callable[[], list[Answer]]) -> None:
    """What was uploaded now, or was in the album before (`same`), and is still in the queue: it is pending, or failed
    if it failed there, or is nothing that is ever sent."""
    uploads = [name for name, way in result.succeeded if way == UPLOAD]
    here = {f"{place}/{name}": name for name in (*uploads, *same)}
    for row in listed() if here else ():
        name = here.pop(str(row.get("path")), None)
        if name is None:
            continue
        if (name, UPLOAD) in result.succeeded:
            result.succeeded.remove((name, UPLOAD))
        else:
            result.unchanged -= 1
        match row.get("stage"):
            case "failed":
                result.failed[name] = str(row.get("reason"))
            case "scratch":
                result.failed[name] = STAYS if row.get("size_bytes") else EMPTY
            case _:
                result.pending.append(name)


def _done(plan: FolderPlan, localdir: Path, folder: Path, place: str) -> SyncResult:
    """The plan carried out, with a bar; what does not work is told, and the rest goes on."""
    from rich.progress import Progress

    result = SyncResult(place, conflicts=list(plan.conflicts), unchanged=len(plan.same) + len(plan.renamed))
    deeds = [(name, UPLOAD) for name in plan.upload] + [(name, DOWNLOAD) for name in plan.download]
    console = plain_console(to_stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        for name, way in bar.track(deeds, description="copying"):
            try:
                if way == UPLOAD:
                    upload(localdir / name, folder / name)
                else:
                    download(folder / name, localdir / name)
            except IiiffsError as error:
                result.failed[name] = str(error)
            else:
                result.succeeded.append((name, way))
    return result


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
    except OSError as error:
        raise IiiffsError(f"{folder}: the album cannot be made: {error.strerror}") from None


def _print_plan(plan: FolderPlan, place: str, as_json: bool) -> None:
    if as_json:
        told = {
            "album": place,
            "upload": plan.upload,
            "download": plan.download,
            "conflicts": plan.conflicts,
            "unchanged": len(plan.same) + len(plan.renamed),
        }
        typer.echo(json.dumps(told, indent=2))
        return
    for way, names in ((UPLOAD, plan.upload), (DOWNLOAD, plan.download), ("conflict", plan.conflicts)):
        for name in names:
            typer.echo(f"{way}: {printable(name)}")
    typer.echo(f"{len(plan.same) + len(plan.renamed)} unchanged; nothing was done")


def _print_result(result: SyncResult, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2))
        return
    for name, way in result.succeeded:
        typer.echo(f"{way}: {printable(name)}")
    for name in result.pending:
        typer.echo(f"pending: {printable(name)}")
    for name in result.conflicts:
        typer.echo(f"conflict: {printable(name)}: other bytes in the album; rename one of them", err=True)
    for name, error in result.failed.items():
        typer.echo(f"failed: {printable(name)}: {printable(error)}", err=True)
    counts = f"{len(result.succeeded)} copied, {len(result.pending)} pending, {len(result.failed)} failed"
    typer.echo(f"{counts}, {len(result.conflicts)} in conflict, {result.unchanged} unchanged")
