"""The uploader against a provider that does what a test says: every file arrives exactly once, whatever happens."""

from __future__ import annotations

from dataclasses import replace as _with
from pathlib import Path

import pytest
import trio

from iiiffs.errors import AccessDenied, OverQuota, PlaceDenied, ProviderUnreachable, Rejected
from iiiffs.model.gallery import AlbumId, AssetId
from iiiffs.model.writing import Edit
from iiiffs.sync.items import Item, Stage, Verb
from iiiffs.vfs import departures
from iiiffs.vfs.departures import SMALL_BYTES, SMALL_UPLOADS_MAX, UPLOADS_MAX
from iiiffs.vfs.sending_news import News
from tests.unit.vfs.uploading import ROOT, Bench, TestProvider, base_of, living, sha1

JPEG = b"\xff\xd8\xff\xda\x00\x02 picture \xff\xd9"
CUT = JPEG[:-2]


@pytest.fixture(params=[True, False], ids=["sets", "folders"])
def provider(request: pytest.FixtureRequest) -> TestProvider:
    return TestProvider(sets=request.param)


@pytest.fixture
def bench(tmp_path: Path, provider: TestProvider) -> Bench:
    return Bench(tmp_path / "spool", provider)


def files(count: int) -> dict[str, bytes]:
    return {f"{number}.jpg": JPEG + b"%d" % number for number in range(count)}


def test_a_file_arrives_after_its_settle_time_and_leaves_no_payload(bench: Bench, provider: TestProvider) -> None:
    async def test() -> None:
        item = await bench.file("a.jpg", JPEG)
        await trio.sleep(2.9)
        assert (bench.stage(item), provider.calls) == (Stage.SETTLING, [])
        state = await bench.uploader.wait_idle()
        sent = bench.queue.get(item.id)
        assert sent is not None and sent.stage is Stage.SENT and sent.sent is not None
        assert state.is_idle and provider.in_album() == {"a.jpg": JPEG}
        assert bench.spool.sizes() == {}
        assert bench.disk.successors == {item.id: sent.sent.id}
        log = [line for line in bench.disk.log if line.endswith(("sending", "sent")) or " is " in line]
        assert log == [f"{item.id} sending", f"{item.id} sent", f"{item.id} is {sent.sent.id}"]
        assert bench.account.expired == [], "it is shown already, and nobody need wait for a list that tells of it"
        assert (bench.uploader.counters.sent, bench.uploader.counters.bytes_sent) == (1, len(JPEG))

    living(bench, test)


def test_the_sum_is_on_disk_before_the_first_byte_goes_out(bench: Bench, provider: TestProvider) -> None:
    seen = []

    def look(verb: str, about: object) -> None:
        seen.append([(item.stage, item.earlier) for item in bench.disk.items.values()])

    provider.fault = look

    async def test() -> None:
        await bench.file("a.jpg", JPEG)
        await bench.uploader.wait_idle()

    living(bench, test)
    assert seen == [[(Stage.SENDING, (sha1(JPEG),))]]


@pytest.mark.parametrize(
    ("small_bytes", "at_once"),
    [(SMALL_BYTES, SMALL_UPLOADS_MAX), (0, UPLOADS_MAX), (6 * (len(JPEG) + 2), 6)],
    ids=["small", "large", "six of them"],
)
def test_so_many_uploads_at_once_and_no_more(
    bench: Bench, provider: TestProvider, monkeypatch: pytest.MonkeyPatch, small_bytes: int, at_once: int
) -> None:
    monkeypatch.setattr(departures, "SMALL_BYTES", small_bytes)

    async def test() -> None:
        for name, data in files(20).items():
            await bench.file(name, data)
        await bench.uploader.wait_idle()

    living(bench, test)
    assert provider.in_album() == files(20)
    assert provider.busiest["upload"] == at_once


def test_uploads_wait_for_the_album_that_is_to_be_made(bench: Bench, provider: TestProvider) -> None:
    provider.latency_s = 10

    async def test() -> None:
        album = bench.item(Verb.MAKE_ALBUM, "Trip", stage=Stage.READY)
        await bench.queue.commit(album)
        first = await bench.file("a.jpg", JPEG, AlbumId(album.id))
        await trio.sleep(9)
        assert provider.count("upload") == 0 and bench.uploader.state().held_back == 1
        await bench.uploader.wait_idle()
        made = AlbumId(bench.disk.successors[album.id])
        assert provider.in_album(made) == {"a.jpg": JPEG}
        assert bench.queue.get(album.id) is None
        sent = bench.queue.get(first.id)
        assert sent is not None and sent.album == made

    living(bench, test)


def test_an_album_that_somebody_made_meanwhile_is_the_one(tmp_path: Path) -> None:
    provider = TestProvider(sets=False)
    bench = Bench(tmp_path / "spool", provider)

    async def test() -> None:
        theirs = await provider.make_album(ROOT, "Trip", "theirs")
        album = bench.item(Verb.MAKE_ALBUM, "Trip", stage=Stage.READY)
        await bench.queue.commit(album)
        await bench.file("a.jpg", JPEG, AlbumId(album.id))
        await bench.uploader.wait_idle()
        assert provider.in_album(theirs.id) == {"a.jpg": JPEG}

    living(bench, test)


@pytest.mark.warns("failed: its album was never made")
def test_what_was_to_go_into_an_album_that_was_given_up_fails(bench: Bench) -> None:
    async def test() -> None:
        item = await bench.file("a.jpg", JPEG, AlbumId("local-0000"))
        state = await bench.uploader.wait_idle()
        assert bench.stage(item) is Stage.FAILED and [failed.id for failed in state.failed] == [item.id]
        assert bench.spool.sizes() == {item.id: len(JPEG)}

    living(bench, test)


def test_what_was_to_be_taken_out_of_an_album_that_was_given_up_is_not_in_it(bench: Bench) -> None:
    async def test() -> None:
        await bench.says(Verb.TAKE_OUT, AssetId("a"), album=AlbumId("local-0000"))
        state = await bench.uploader.wait_idle()
        assert state.failed == () and bench.queue.items() == []
        await trio.sleep(1)
        assert bench.disk.items == {}

    living(bench, test)


# ---- settling --------------------------------------------------------------------------------------------------------


def test_a_picture_without_its_end_settles_for_a_minute_and_is_reported(bench: Bench, provider: TestProvider) -> None:
    async def test() -> None:
        item = await bench.file("a.jpg", CUT)
        await trio.sleep(59)
        current = bench.queue.get(item.id)
        assert current is not None and (current.stage, current.reason) == (Stage.SETTLING, "its end is missing")
        assert provider.calls == []
        await trio.sleep(2)
        assert bench.stage(item) is Stage.SENT and provider.in_album() == {"a.jpg": CUT}

    living(bench, test)


def test_flush_sends_at_once_what_settles(bench: Bench, provider: TestProvider) -> None:
    async def test() -> None:
        for name, data in {"a.jpg": JPEG, "b.jpg": CUT}.items():
            await bench.file(name, data)
        await trio.sleep(0.5)
        bench.uploader.send_now()
        await bench.uploader.wait_idle()
        assert trio.current_time() - began < 2

    began = 0.0

    async def timed() -> None:
        nonlocal began
        began = trio.current_time()
        await test()

    living(bench, timed)
    assert provider.in_album() == {"a.jpg": JPEG, "b.jpg": CUT}


def test_flush_of_one_leaves_the_others_alone(bench: Bench, provider: TestProvider) -> None:
    async def test() -> None:
        bench.account.settle_s = 100
        await bench.file("a.jpg", JPEG)
        chosen = await bench.file("b.jpg", JPEG + b"b")
        bench.uploader.send_now([chosen.id])
        await trio.sleep(10)
        assert provider.in_album() == {"b.jpg": JPEG + b"b"}

    living(bench, test)


def test_a_file_that_is_opened_while_it_is_sent_is_cut_off_and_sent_again_once(
    bench: Bench, provider: TestProvider
) -> None:
    async def test() -> None:
        item = await bench.file("a.jpg", JPEG)
        provider.fault = lambda verb, about: "hang"
        await trio.sleep(5)
        assert bench.stage(item) is Stage.SENDING and list(bench.uploader.sent_bytes) == [item.id]
        await bench.uploader.interrupt(item.id)
        current = bench.queue.get(item.id)
        assert current is not None and (current.stage, current.earlier) == (Stage.READY, (sha1(JPEG),))
        provider.fault = lambda verb, about: None
        await trio.sleep(2)
        assert provider.count("upload") == 1, "whoever opens it has the settle time for it"
        bench.queue.note(bench_open := _with(current, stage=Stage.OPEN))
        await trio.sleep(100)
        assert provider.count("upload") == 1
        bench.spool.path(item.id).write_bytes(JPEG * 2)
        await bench.queue.commit(_with(bench_open, stage=Stage.SETTLING, generation=2, size_bytes=2 * len(JPEG)))
        await bench.uploader.wait_idle()
        assert provider.in_album() == {"a.jpg": JPEG * 2}

    living(bench, test)


def test_a_file_that_is_about_to_be_opened_does_not_depart(bench: Bench, provider: TestProvider) -> None:
    async def test() -> None:
        item = await bench.file("a.jpg", JPEG, stage=Stage.READY)
        await bench.uploader.interrupt(item.id)
        await trio.sleep(2)
        assert provider.calls == []
        await bench.uploader.wait_idle()
        assert provider.in_album() == {"a.jpg": JPEG}

    living(bench, test)


def test_what_was_told_of_what_is_replaced_is_old_when_it_is_sent(bench: Bench, provider: TestProvider) -> None:
    """Not a moment later: whoever removes what was sent would find what it replaced."""
    expired: list[list[AlbumId | None]] = []

    def listen(before: Item | None, after: Item | None) -> None:
        if after is not None and after.stage is Stage.SENT:
            expired.append(list(bench.account.expired))

    async def test() -> None:
        base = provider.put("a.jpg", JPEG)
        bench.queue.watch(listen)
        await bench.file("a.jpg", JPEG * 2, base=base_of(base))
        await bench.uploader.wait_idle()
        assert expired and all(ROOT in before for before in expired)

    living(bench, test)


def test_a_file_that_is_cut_off_and_departs_again_at_once_is_cut_off_again(
    bench: Bench, provider: TestProvider
) -> None:
    """As when the provider can be reached again at that moment: whoever removes it then would find it back later."""

    async def hurry(id: str) -> None:
        while (item := bench.queue.get(id)) is None or item.stage is not Stage.READY:
            await bench.queue.wait_changed()
        bench.uploader.send_now([id])

    async def test() -> None:
        provider.fault = lambda verb, about: "hang"
        for number in range(30):
            item = await bench.file(f"{number}.jpg", JPEG + bytes([number]))
            await trio.sleep(5)
            assert bench.stage(item) is Stage.SENDING
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hurry, item.id)
                await bench.uploader.interrupt(item.id)
                assert item.id not in bench.uploader.sent_bytes
                await bench.queue.drop(item.id)
                nursery.cancel_scope.cancel()
            await trio.sleep(5)
            assert bench.queue.get(item.id) is None

    living(bench, test)


def test_a_file_that_is_dropped_before_its_first_byte_goes_out_stays_away(bench: Bench, provider: TestProvider) -> None:
    async def test() -> None:
        item = await bench.file("a.jpg", JPEG)
        while item.id not in bench.uploader.sent_bytes:
            await bench.queue.wait_changed()
            await trio.lowlevel.checkpoint()
        assert bench.stage(item) is Stage.READY
        await bench.queue.drop(item.id)
        await trio.sleep(10)
        assert (bench.queue.items(), provider.count("upload"), bench.uploader.counters.sent) == ([], 0, 0)

    living(bench, test)


# ---- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_lost_answer_makes_no_second_asset(bench: Bench, provider: TestProvider) -> None:
    answers = iter(["lost", "lost", "lost"])
    provider.fault = lambda verb, about: next(answers, None)

    async def test() -> None:
        for name, data in files(5).items():
            await bench.file(name, data)
        while not (await bench.uploader.wait_idle()).is_idle:
            await trio.sleep(1)

    living(bench, test)
    assert provider.in_album() == files(5) and len(provider.stored) == 5


def test_changed_bytes_after_a_lost_answer_replace_what_arrived(bench: Bench, provider: TestProvider) -> None:
    answers = iter(["lost"])
    provider.fault = lambda verb, about: next(answers, None)

    async def test() -> None:
        item = await bench.file("a.jpg", JPEG)
        await trio.sleep(3.5)
        current = bench.queue.get(item.id)
        assert current is not None and current.stage is Stage.READY and current.tries == 1
        bench.spool.path(item.id).write_bytes(JPEG * 2)
        await bench.queue.commit(_with(current, stage=Stage.SETTLING, generation=2, size_bytes=2 * len(JPEG)))
        while bench.stage(item) is not Stage.SENT:
            await bench.queue.wait_changed()
        assert bench.disk.conflicts == {}

    living(bench, test)
    if not provider.capabilities.real_names:
        return  # what a library does with `earlier` is its provider's
    assert provider.in_album() == {"a.jpg": JPEG * 2}


def test_offline_one_at_a_time_tries_and_all_go_when_it_is_back(bench: Bench, provider: TestProvider) -> None:
    def away(verb: str, about: object) -> None:
        raise ProviderUnreachable("no route")

    provider.fault = away

    async def test() -> None:
        for name, data in files(20).items():
            await bench.file(name, data)
        await trio.sleep(3.2)
        assert bench.uploader.trouble == "no route" and provider.busiest["upload"] == SMALL_UPLOADS_MAX
        provider.busiest.clear()
        await trio.sleep(3600)
        assert provider.busiest["upload"] == 1 and provider.count("upload") < 40
        state = await bench.uploader.wait_idle()
        assert (state.offline, state.waiting, state.failed) == ("no route", 20, ())
        provider.fault = lambda verb, about: None
        bench.uploader.send_now()
        state = await bench.uploader.wait_idle()
        assert state.is_idle and state.offline is None

    living(bench, test)
    assert provider.in_album() == files(20)
    assert bench.news == [(News.BACK_ONLINE, "home can be reached again")]


@pytest.mark.parametrize("count", [1, 9])
def test_it_goes_on_at_once_when_the_gallery_is_back(bench: Bench, provider: TestProvider, count: int) -> None:
    def away(verb: str, about: object) -> None:
        raise ProviderUnreachable("no route")

    async def test() -> None:
        provider.fault = away
        bench.account.trouble = "no route"
        for name, data in files(count).items():
            await bench.file(name, data)
        await trio.sleep(5000)
        provider.fault = lambda verb, about: None
        bench.account.trouble = None
        await trio.sleep(3)
        assert provider.in_album() == files(count)

    living(bench, test)


def test_when_one_got_through_all_others_follow_at_once(bench: Bench, provider: TestProvider) -> None:
    def away(verb: str, about: object) -> None:
        raise ProviderUnreachable("no route")

    async def test() -> None:
        provider.fault = away
        for name, data in files(6).items():
            await bench.file(name, data)
        await trio.sleep(20_000)
        provider.fault = lambda verb, about: None
        while not provider.in_album():
            await bench.queue.wait_changed()
        await trio.sleep(3)
        assert provider.in_album() == files(6)

    living(bench, test)


@pytest.mark.parametrize("bad", ["0.jpg", "4.jpg"])
def test_one_file_that_never_gets_through_holds_up_no_other(bench: Bench, provider: TestProvider, bad: str) -> None:
    def poison(verb: str, about: object) -> None:
        if about == bad:
            raise ProviderUnreachable("502")

    provider.fault = poison

    async def test() -> None:
        for name, data in files(10).items():
            await bench.file(name, data)
        await trio.sleep(300)
        assert provider.in_album().keys() == files(10).keys() - {bad}
        assert [item.name for item in bench.queue.items() if item.stage is not Stage.SENT] == [bad]

    living(bench, test)


def test_a_refused_login_is_told_once_and_asked_again_seldom(bench: Bench, provider: TestProvider) -> None:
    def refused(verb: str, about: object) -> None:
        raise AccessDenied("the key was revoked; iiiffs login home")

    provider.fault = refused

    async def test() -> None:
        for name, data in files(3).items():
            await bench.file(name, data)
        await trio.sleep(3600)
        state = bench.uploader.state()
        assert state.login_needed and state.offline is None and state.waiting == 3
        assert provider.count("upload") < 12
        provider.fault = lambda verb, about: None
        bench.uploader.send_now()
        assert (await bench.uploader.wait_idle()).is_idle

    living(bench, test)
    assert [news for news, _ in bench.news] == [News.LOGIN_NEEDED, News.BACK_ONLINE]


@pytest.mark.warns("may not be changed")
def test_one_place_that_may_not_be_changed_holds_up_nothing_else(bench: Bench, provider: TestProvider) -> None:
    def refused(verb: str, about: object) -> None:
        if about in ("0.jpg", "1.jpg"):
            raise PlaceDenied(f"{about} may not be changed")

    provider.fault = refused

    async def test() -> None:
        for name, data in files(10).items():
            await bench.file(name, data)
        await trio.sleep(10)
        assert provider.in_album().keys() == files(10).keys() - {"0.jpg", "1.jpg"}
        waiting = [item for item in bench.queue.items() if item.stage is not Stage.SENT]
        assert [(item.stage, item.reason) for item in waiting] == [
            (Stage.FAILED, f"{name} may not be changed") for name in ("0.jpg", "1.jpg")
        ]
        state = bench.uploader.state()
        assert not state.login_needed and state.offline is None

    living(bench, test)
    assert [news for news, _ in bench.news] == [News.FAILED] * 2


@pytest.mark.warns("failed: no .jpg here")
@pytest.mark.parametrize("error", [Rejected, OverQuota])
def test_what_is_refused_fails_and_waits_for_a_person(
    bench: Bench, provider: TestProvider, error: type[Exception]
) -> None:
    def refuse(verb: str, about: object) -> None:
        if about == "0.jpg":
            raise error("no .jpg here")

    provider.fault = refuse

    async def test() -> None:
        for name, data in files(3).items():
            await bench.file(name, data)
        state = await bench.uploader.wait_idle()
        (failed,) = state.failed
        assert (failed.name, failed.reason, state.offline) == ("0.jpg", "no .jpg here", None)
        await trio.sleep(10_000)
        assert provider.count("upload") == 3 and bench.spool.sizes() == {failed.id: failed.size_bytes}
        provider.fault = lambda verb, about: None
        await bench.queue.commit(_with(failed, stage=Stage.READY, reason=None))
        assert (await bench.uploader.wait_idle()).failed == ()

    living(bench, test)
    assert provider.in_album() == files(3)
    assert [news for news, _ in bench.news] == [News.FAILED]


def test_other_bytes_at_the_provider_than_were_sent_are_no_success(bench: Bench, provider: TestProvider) -> None:
    answers = iter(["cut"])
    provider.fault = lambda verb, about: next(answers, None)

    async def test() -> None:
        item = await bench.file("a.jpg", JPEG)
        await trio.sleep(4)
        current = bench.queue.get(item.id)
        assert current is not None and current.stage is Stage.READY and "not the" in (current.reason or "")
        await bench.uploader.wait_idle()
        assert bench.stage(item) is Stage.SENT

    living(bench, test)


@pytest.mark.warns("the disk is full")
def test_nothing_is_sent_that_the_disk_does_not_know_of(bench: Bench, provider: TestProvider) -> None:
    async def test() -> None:
        item = await bench.file("a.jpg", JPEG)
        bench.disk.full = 3
        await trio.sleep(3.5)
        assert bench.disk.full == 2 and provider.calls == []
        await trio.sleep(1000)
        assert bench.stage(item) is Stage.SENT and provider.in_album() == {"a.jpg": JPEG}

    living(bench, test)


@pytest.mark.warns("no room for a successor")
def test_what_was_sent_is_finished_when_the_disk_lets(tmp_path: Path) -> None:
    provider = TestProvider(sets=True)
    bench = Bench(tmp_path / "spool", provider)
    provider.albums[AlbumId("other")] = provider.albums[ROOT]

    async def test() -> None:
        bench.disk.unrecorded = 3
        item = await bench.file("a.jpg", JPEG)
        await bench.says(Verb.ADD, item.id, album=AlbumId("other"))
        assert (await bench.uploader.wait_idle()).is_idle
        assert provider.count("upload") == 1 and bench.spool.sizes() == {}
        assert provider.in_album(AlbumId("other")) == {"a.jpg": JPEG}

    living(bench, test)


@pytest.mark.warns("the disk is full")
def test_a_payload_stays_until_the_disk_knows_that_it_was_sent(bench: Bench, provider: TestProvider) -> None:
    async def test() -> None:
        provider.fault = lambda verb, about: setattr(bench.disk, "full", 10**6)
        item = await bench.file("a.jpg", JPEG)
        await trio.sleep(100)
        assert provider.in_album() == {"a.jpg": JPEG} and bench.disk.items[item.id].stage is Stage.SENDING
        assert bench.spool.sizes() == {item.id: len(JPEG)}
        bench.disk.full = 0
        await bench.uploader.wait_idle()
        assert bench.disk.items[item.id].stage is Stage.SENT and bench.spool.sizes() == {}
        assert provider.count("upload") == 1

    living(bench, test)


@pytest.mark.warns("failed: its bytes are not in the spool")
def test_a_payload_that_is_gone_is_told(bench: Bench) -> None:
    async def test() -> None:
        item = await bench.file("a.jpg", JPEG)
        bench.spool.remove(item.id)
        await bench.uploader.wait_idle()
        assert bench.stage(item) is Stage.FAILED

    living(bench, test)


def test_stopping_waits_for_no_network_and_leaves_the_item_sending(bench: Bench, provider: TestProvider) -> None:
    provider.fault = lambda verb, about: "hang"

    async def test() -> None:
        await bench.file("a.jpg", JPEG)
        await trio.sleep(5)

    living(bench, test)
    assert [item.stage for item in bench.disk.items.values()] == [Stage.SENDING]


# ---- conflicts -------------------------------------------------------------------------------------------------------


def test_a_file_that_changed_at_the_provider_stays_and_ours_goes_beside_it(
    bench: Bench, provider: TestProvider
) -> None:
    async def test() -> None:
        bench.uploader.conflicts.host = "attic"
        bench.uploader.conflicts.now_ns = lambda: 1_700_049_600 * 10**9
        theirs = provider.put("a.jpg", b"first")
        item = await bench.file("a.jpg", JPEG, base=base_of(theirs))
        provider.change(theirs.id, b"theirs")
        await bench.uploader.wait_idle()
        name = "a (conflict 2023-11-15 attic).jpg"
        assert provider.in_album() == {"a.jpg": b"theirs", name: JPEG}
        (conflict,) = bench.disk.conflicts.values()
        assert (conflict.id, conflict.name, conflict.ours, conflict.theirs) == (item.id, "a.jpg", name, theirs.id)
        assert [news for news, _ in bench.news] == [News.CONFLICT]

    living(bench, test)


def test_a_name_that_is_taken_meanwhile_keeps_both_even_twice(tmp_path: Path) -> None:
    provider = TestProvider(sets=False)
    bench = Bench(tmp_path / "spool", provider)

    async def test() -> None:
        bench.uploader.conflicts.host = "attic"
        bench.uploader.conflicts.now_ns = lambda: 1_700_049_600 * 10**9
        provider.put("a.jpg", b"theirs")
        provider.put("a (conflict 2023-11-15 attic).jpg", b"theirs too")
        await bench.file("a.jpg", JPEG)
        await bench.uploader.wait_idle()
        assert provider.in_album()["a (conflict 2023-11-15 attic 2).jpg"] == JPEG
        assert len(provider.in_album()) == 3 and len(bench.disk.conflicts) == 1

    living(bench, test)


def test_an_edit_is_worth_more_than_a_deletion(bench: Bench, provider: TestProvider) -> None:
    async def test() -> None:
        theirs = provider.put("a.jpg", b"first")
        await bench.file("a.jpg", JPEG, base=base_of(theirs))
        del provider.stored[theirs.id]
        await bench.uploader.wait_idle()
        assert provider.in_album() == {"a.jpg": JPEG} and bench.disk.conflicts == {}

    living(bench, test)


def test_a_replaced_asset_goes_on_answering_by_its_old_id(bench: Bench, provider: TestProvider) -> None:
    async def test() -> None:
        theirs = provider.put("a.jpg", b"first")
        item = await bench.file("a.jpg", JPEG, base=base_of(theirs))
        await bench.uploader.wait_idle()
        new = bench.disk.successors[item.id]
        assert provider.in_album() == {"a.jpg": JPEG}
        assert bench.disk.successors.get(theirs.id, theirs.id) == new

    living(bench, test)


def test_an_upload_whose_asset_is_replaced_goes_in_the_moment_in_which_that_is_known(tmp_path: Path) -> None:
    provider = TestProvider(sets=True)
    bench = Bench(tmp_path / "spool", provider)
    shown: list[list[str]] = []

    async def test() -> None:
        first = await bench.file("a.jpg", b"first")
        await bench.uploader.wait_idle()
        sent = bench.queue.items()[0].sent
        assert sent is not None and bench.queue.items()[0].id == first.id
        second = await bench.file("a.jpg", JPEG, base=base_of(sent))
        step = bench.disk.step

        async def looked() -> None:
            shown.append([item.id for item in bench.queue.items() if item.stage is Stage.SENT])
            await step()

        vars(bench.disk)["step"] = looked
        await bench.uploader.wait_idle()
        assert shown[0] == [first.id] and shown[-1] == [second.id]
        assert all(one in ([first.id], [second.id]) for one in shown), "no listing will have what was replaced"
        assert bench.disk.successors[first.id] == sent.id

    living(bench, test)


# ---- albums and properties -------------------------------------------------------------------------------------------


def test_thousands_of_changes_are_few_calls(tmp_path: Path) -> None:
    provider = TestProvider(sets=True)
    bench = Bench(tmp_path / "spool", provider)
    provider.albums[AlbumId("other")] = provider.albums[ROOT]

    async def test() -> None:
        assets = [provider.put(f"{number}.jpg", b"%d" % number).id for number in range(5000)]
        for asset in assets:
            bench.queue.note(bench.item(Verb.ADD, "x", AlbumId("other"), assets=(asset,)))
            bench.queue.note(bench.item(Verb.TAKE_OUT, "x", assets=(asset,)))
        assert (await bench.uploader.wait_idle()).is_idle
        assert len(bench.queue) == 0
        assert provider.in_album() == {} and len(provider.in_album(AlbumId("other"))) == 5000

    living(bench, test)
    assert len(provider.calls) == 10
    assert [verb for verb, _ in provider.calls] == ["add"] * 5 + ["take_out"] * 5


def test_what_was_said_last_counts(tmp_path: Path) -> None:
    provider = TestProvider(sets=True)
    bench = Bench(tmp_path / "spool", provider)
    provider.albums[AlbumId("other")] = provider.albums[ROOT]
    first, second = provider.put("a.jpg", b"a").id, provider.put("b.jpg", b"b", AlbumId("other")).id

    async def test() -> None:
        await bench.says(Verb.ADD, first, album=AlbumId("other"))
        await bench.says(Verb.TAKE_OUT, second, album=AlbumId("other"))
        await trio.sleep(1)
        await bench.says(Verb.TAKE_OUT, first, album=AlbumId("other"))
        await bench.says(Verb.ADD, second, album=AlbumId("other"))
        await bench.uploader.wait_idle()
        assert provider.calls == [("add", (second,)), ("take_out", (first,))]
        assert provider.in_album(AlbumId("other")) == {"b.jpg": b"b"}

    living(bench, test)


@pytest.mark.warns("failed: not_found")
@pytest.mark.warns("failed: one of them is no id")
def test_what_one_asset_spoils_is_done_for_all_others(tmp_path: Path) -> None:
    provider = TestProvider(sets=True)
    bench = Bench(tmp_path / "spool", provider)
    album = AlbumId("other")
    provider.albums[album] = provider.albums[ROOT]
    assets = [provider.put(f"{number}.jpg", b"%d" % number).id for number in range(50)]
    provider.bad, provider.refused = {assets[7]}, {assets[30]: "not_found"}

    async def test() -> None:
        whole = await bench.says(Verb.ADD, *assets[:40], album=album)
        for asset in assets[40:]:
            await bench.says(Verb.ADD, asset, album=album)
        state = await bench.uploader.wait_idle()
        failed = {item.reason: item.assets for item in state.failed}
        assert failed == {"one of them is no id": (assets[7],), "not_found": (assets[30],)}
        assert bench.stage(whole) is Stage.FAILED and len(provider.in_album(album)) == 48
        assert len(bench.queue) == 2 and len(bench.disk.items) == 2

    living(bench, test)


@pytest.mark.warns("failed: one of them is no id")
def test_a_call_that_is_refused_for_all_is_not_asked_for_each(tmp_path: Path) -> None:
    provider = TestProvider(sets=True)
    bench = Bench(tmp_path / "spool", provider)
    assets = [provider.put(f"{number}.jpg", b"%d" % number).id for number in range(1000)]
    provider.bad = set(assets)

    async def test() -> None:
        await bench.says(Verb.TAKE_OUT, *assets)
        state = await bench.uploader.wait_idle()
        assert [len(item.assets) for item in state.failed] == [1000]

    living(bench, test)
    assert len(provider.calls) < 40


def test_a_photo_is_added_after_it_was_sent_and_taken_out_after_it_was_added(tmp_path: Path) -> None:
    provider = TestProvider(sets=True)
    bench = Bench(tmp_path / "spool", provider)
    album = AlbumId("other")
    provider.albums[album] = provider.albums[ROOT]

    async def test() -> None:
        file = await bench.file("a.jpg", JPEG)
        await bench.says(Verb.ADD, file.id, album=album)
        await bench.says(Verb.TAKE_OUT, file.id)
        await bench.uploader.wait_idle()
        assert [verb for verb, _ in provider.calls] == ["upload", "add", "take_out"]
        assert (provider.in_album(), provider.in_album(album)) == ({}, {"a.jpg": JPEG})

    living(bench, test)


@pytest.mark.warns("failed: no_permission")
def test_a_photo_that_cannot_be_added_is_not_taken_out_of_where_it_was(tmp_path: Path) -> None:
    provider = TestProvider(sets=True)
    bench = Bench(tmp_path / "spool", provider)
    album = AlbumId("other")
    provider.albums[album] = provider.albums[ROOT]
    asset = provider.put("a.jpg", b"a").id
    provider.refused = {asset: "no_permission"}

    async def test() -> None:
        await bench.says(Verb.ADD, asset, album=album)
        await bench.says(Verb.TAKE_OUT, asset)
        state = await bench.uploader.wait_idle()
        assert (len(state.failed), state.held_back) == (1, 1)
        assert provider.in_album() == {"a.jpg": b"a"}

    living(bench, test)


def test_edits_of_one_asset_are_one_call(bench: Bench, provider: TestProvider) -> None:
    asset = provider.put("a.jpg", b"a").id

    async def test() -> None:
        await bench.says(Verb.EDIT, asset, edit=Edit(rating=1, description="x"))
        await bench.says(Verb.EDIT, asset, edit=Edit(rating=5))
        await bench.says(Verb.EDIT, asset, edit=Edit(favorite=True))
        await bench.uploader.wait_idle()
        assert provider.edits == [(asset, Edit(rating=5, description="x", favorite=True))]
        assert len(bench.queue) == 0

    living(bench, test)


@pytest.mark.warns("failed: no rating of 5")
def test_one_edit_spoils_no_other(bench: Bench, provider: TestProvider) -> None:
    asset = provider.put("a.jpg", b"a").id
    real = provider.edit

    async def edit(asset: object, edit: Edit) -> object:
        if edit.rating == 5:
            raise Rejected("no rating of 5")
        return await real(asset, edit)  # type: ignore[arg-type]

    provider.edit = edit  # type: ignore[method-assign, assignment]

    async def test() -> None:
        await bench.says(Verb.EDIT, asset, edit=Edit(favorite=True))
        await bench.says(Verb.EDIT, asset, edit=Edit(rating=5))
        state = await bench.uploader.wait_idle()
        assert [item.edit for item in state.failed] == [Edit(rating=5)]
        assert provider.edits == [(asset, Edit(favorite=True))]

    living(bench, test)
