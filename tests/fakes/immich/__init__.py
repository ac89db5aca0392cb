"""A fake Immich, 2.7.5 or 3.1.0: a real HTTP server on 127.0.0.1, in threads of this process.

    with immich(version="3.1.0") as server:
        ada = server.add_user("Ada")
        photo = server.add_asset("IMG_1.jpg", taken="2023-05-01T10:11:12+02:00", size_px=(3000, 2000))
        album = server.add_album("Trip", [photo], owner=ada)
        server.share(album, server.owner, "editor")
        server.fault(faults.too_many_requests("1"), "/search/metadata", times=2)
        …  # the code under test, with server.url and server.key
        assert server.requests.count("/original") == 0
        assert album.members == {…}

Whatever is asked outside the OpenAPI document of the version is answered 500, and the `with` ends in an AssertionError.
State is read and changed in place (`server.albums`, `server.assets`, `server.edit(asset, …)`), `server.settings` is the
administrator's, `server.version = "2.7.5"` an upgrade while it runs, `server.hold_jobs()` a busy server.

Facts: the research on Immich's API ("immich.md §N" in what follows) and its samples in tests/data/immich, which
tests/contract/test_fake_immich.py asks again one by one. [SRC] marks what was read in the server's source alone.
"""

from tests.fakes.immich.server import ImmichServer, client_context, immich

__all__ = ["ImmichServer", "client_context", "immich"]
