"""Video and sound, encoded here by PyAV: size, duration, time, poster; what is damaged, endless or not installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from io import BytesIO

import pytest
from PIL import Image, ImageDraw

from iiiffs.errors import Undecodable, VersionChanged
from iiiffs.model.image import Extent
from iiiffs.render import video
from iiiffs.render.headers import facts_fingerprint, read_facts
from iiiffs.render.renderer import Renderer, RenderLimits
from tests.unit.render.render_pictures import Source, image_request, mean_error, pixel, whole

av = pytest.importorskip("av")

SIZE = (96, 64)
COLOURS = ((210, 50, 40), (50, 160, 70), (50, 70, 190), (220, 200, 110))
MIDDLES = ((24, 16), (72, 16), (24, 48), (72, 48))


def quarters() -> Image.Image:
    image = Image.new("RGB", SIZE)
    for (x, y), colour in zip(((0, 0), (48, 0), (0, 32), (48, 32)), COLOURS, strict=True):
        ImageDraw.Draw(image).rectangle((x, y, x + 47, y + 31), fill=colour)
    return image


def clip(
    format_: str = "mp4",
    codec: str = "mpeg4",
    frames: Sequence[Image.Image] = (quarters(),) * 10,
    rotation: int | None = None,
    **settings: object,
) -> bytes:
    """Ten frames a second. `settings`: aspect, tags, sound (a codec)."""
    buffer = BytesIO()
    with av.open(buffer, "w", format=format_) as container:
        container.metadata.update(settings.get("tags", {}))
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, "yuv420p"
        stream.bit_rate = 4_000_000
        if "aspect" in settings:
            stream.codec_context.sample_aspect_ratio = settings["aspect"]
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def sound(format_: str, codec: str, sample_format: str = "s16", rate: int = 48000) -> bytes:
    """Two seconds of silence."""
    buffer = BytesIO()
    with av.open(buffer, "w", format=format_) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        for number in range(2 * rate // 1000):
            frame = av.AudioFrame(format=sample_format, layout="mono", samples=1000)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = rate, number * 1000, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def middles(image: Image.Image) -> list[tuple[int, ...]]:
    return [pixel(image.convert("RGB"), place) for place in MIDDLES]


def apart(found: list[tuple[int, ...]], wanted: Sequence[tuple[int, ...]]) -> int:
    pairs = zip(found, wanted, strict=True)
    return max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("format_", "codec", "media_type"),
    [
        ("mp4", "mpeg4", "video/mp4"),
        ("mp4", "libx264", "video/mp4"),
        ("mov", "mpeg4", "video/quicktime"),
        ("webm", "libvpx", "video/webm"),
        ("matroska", "mpeg4", "video/x-matroska"),
        ("avi", "mpeg4", "video/x-msvideo"),
        ("mpegts", "mpeg2video", "video/mp2t"),
        ("3gp", "mpeg4", "video/3gpp"),
    ],
)
def test_a_video_has_size_duration_and_a_poster(format_: str, codec: str, media_type: str) -> None:
    source = Source(clip(format_, codec, frames=(quarters(),) * 25 if codec == "mpeg2video" else (quarters(),) * 10))
    facts = source.facts
    assert (facts.media_type, facts.extent, facts.error) == (media_type, Extent(*SIZE), None)
    assert facts.duration_s is not None and 0.8 <= facts.duration_s <= 2.7
    assert apart(middles(source.image(whole(facts))), COLOURS) <= 14
    assert source.render(whole(facts)) == source.render(whole(facts))


@pytest.mark.parametrize(("rotation", "turn"), [(90, 90), (180, 180), (-90, 270), (0, 0)])
def test_a_turned_video_is_upright(rotation: int, turn: int) -> None:
    """FFmpeg's rotation is counter-clockwise, so that a player turns by it clockwise when it is negative."""
    source = Source(clip(rotation=rotation))
    wanted = quarters().rotate(turn, expand=True)
    facts = source.facts
    assert facts.extent == Extent(*wanted.size)
    answer = source.image(whole(facts)).convert("RGB")
    places = [(answer.width // 4 * x, answer.height // 4 * y) for x, y in ((1, 1), (3, 1), (1, 3), (3, 3))]
    assert apart([pixel(answer, at) for at in places], [pixel(wanted, at) for at in places]) <= 14


@pytest.mark.parametrize("rotation", [None, 90])
def test_pixels_that_are_not_square_become_square(rotation: int | None) -> None:
    source = Source(clip("matroska", aspect=Fraction(4, 3), rotation=rotation))
    assert source.facts.extent == (Extent(128, 64) if rotation is None else Extent(64, 128))
    assert source.image(whole(source.facts)).size == ((128, 64) if rotation is None else (64, 128))


@pytest.mark.parametrize(
    ("tags", "captured"),
    [
        ({"creation_time": "2024-06-01T12:00:00.000000Z"}, "2024-06-01T12:00:00Z"),
        ({"creation_time": "1970-01-01T00:00:00.000000Z"}, None),
        ({}, None),
    ],
)
def test_the_capture_time_is_the_containers(tags: dict[str, str], captured: str | None) -> None:
    assert Source(clip(tags=tags)).facts.captured == captured


@pytest.mark.parametrize(
    ("tags", "captured"),
    [
        ({"com.apple.quicktime.creationdate": "2024-06-01T14:00:00+0200"}, "2024-06-01T14:00:00+02:00"),
        (
            {"com.apple.quicktime.creationdate": "soon", "creation_time": "2024-06-01T12:00:00.5Z"},
            "2024-06-01T12:00:00Z",
        ),
        ({"creation_time": "2024-13-01T12:00:00Z"}, None),
        ({"creation_time": "2024-06-01 12:00:00"}, "2024-06-01T12:00:00"),
    ],
)
def test_a_phones_own_time_with_its_zone_comes_first(tags: dict[str, str], captured: str | None) -> None:
    assert video._captured(tags) == captured


def test_the_poster_is_the_first_frame_that_is_not_black() -> None:
    frames = [Image.new("RGB", SIZE)] * 7 + [quarters()] * 3
    source = Source(clip(frames=frames))
    assert apart(middles(source.image(whole(source.facts))), COLOURS) <= 20


@pytest.mark.parametrize("black", [20, 40])
def test_a_black_video_has_a_black_poster_and_none_is_looked_for_beyond_three_seconds(black: int) -> None:
    frames = [Image.new("RGB", SIZE)] * black + ([quarters()] * 5 if black > 30 else [])
    source = Source(clip(frames=frames))
    assert max(pixel(source.image(whole(source.facts)).convert("RGB"), (9, 9))) < 20


def test_a_poster_is_an_image_service_like_any_other() -> None:
    source, renderer = Source(clip()), Renderer(RenderLimits())
    part = image_request((48, 0, 96, 32), (24, 16), "90")
    answer = source.image(part, renderer).convert("RGB")
    assert answer.size == (16, 24)
    assert mean_error(answer, Image.new("RGB", (16, 24), COLOURS[1])) < 12
    source.image(whole(source.facts), renderer)
    assert source.opened == 1


@pytest.mark.parametrize(
    ("format_", "codec", "sample_format", "media_type"),
    [
        ("wav", "pcm_s16le", "s16", "audio/wav"),
        ("flac", "flac", "s16", "audio/flac"),
        ("mp3", "libmp3lame", "fltp", "audio/mpeg"),
        ("ogg", "libopus", "s16", "audio/ogg"),
        ("ipod", "aac", "fltp", "audio/mp4"),
        ("mp4", "aac", "fltp", "audio/mp4"),
        ("webm", "libopus", "s16", "audio/webm"),
    ],
)
def test_sound_has_a_duration_and_no_picture(format_: str, codec: str, sample_format: str, media_type: str) -> None:
    facts = Source(sound(format_, codec, sample_format)).facts
    assert (facts.media_type, facts.extent, facts.error) == (media_type, None, None)
    assert facts.duration_s == pytest.approx(2, abs=0.15)


def test_a_recording_that_tells_no_duration_is_walked_to_its_end() -> None:
    class Unseekable(BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, offset: int, whence: int = 0) -> int:
            raise OSError("a pipe")

    pipe = Unseekable()
    with av.open(pipe, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_image(quarters())
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    source = Source(pipe.getvalue())
    with av.open(BytesIO(source.data)) as container:
        assert container.duration is None, "the recording was meant to tell no duration"
    assert source.facts.duration_s == pytest.approx(2, abs=0.15)
    assert source.facts.extent == Extent(*SIZE)


@pytest.mark.parametrize("format_", ["mp4", "matroska", "avi", "mpegts"])
@pytest.mark.parametrize("part", [0.01, 0.2, 0.5, 0.9])
def test_a_cut_or_damaged_video_is_an_error_of_one_line_or_a_video(format_: str, part: float) -> None:
    data = clip(format_, "mpeg2video" if format_ == "mpegts" else "mpeg4", frames=(quarters(),) * 25)
    at = int(len(data) * part)
    for broken in (data[:at], data[:at] + bytes(len(data) - at), data[:at] + data[-at:]):
        facts = read_facts(BytesIO(broken), "broken.mov")
        if facts.extent is None:
            assert facts.error is not None and "\n" not in facts.error
            continue
        try:
            Source(broken).render(whole(facts))
        except Undecodable as error:
            assert "\n" not in str(error)


def test_an_endless_file_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(BytesIO):
        """A Matroska header, then zeros for as long as anybody reads."""

        given = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            Endless.given += size or 0
            return data + bytes(max(0, (size or 0) - len(data)))

    monkeypatch.setattr(video, "_READ_BYTES_MAX", 8 << 20)
    data = clip("matroska")
    facts = read_facts(Endless(data[: data.index(b"\x1f\x43\xb6\x75")]), "endless.mkv")
    assert facts.extent is None and facts.error is not None
    assert Endless.given < 16 << 20


def test_errors_of_the_stream_pass() -> None:
    class Changed(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 700:
                raise VersionChanged("replaced underneath")
            return super().read(min(size or 0, 700))

    with pytest.raises(VersionChanged):
        read_facts(Changed(clip()), "a.mp4")

    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 700:
                raise OSError(5, "Input/output error")
            return super().read(min(size or 0, 700))

    with pytest.raises(OSError, match="Input/output"):
        read_facts(Broken(clip()), "a.mp4")


@pytest.mark.parametrize(
    ("format_", "codec", "media_type"),
    [("mp4", "mpeg4", "video/mp4"), ("webm", "libvpx", "video/webm"), ("avi", "mpeg4", "video/x-msvideo")],
)
def test_without_the_extra_the_facts_name_it(
    format_: str, codec: str, media_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, with_extra = clip(format_, codec), facts_fingerprint()
    monkeypatch.setitem(sys.modules, "av", None)
    facts = read_facts(BytesIO(data), "a.mp4")
    assert (facts.media_type, facts.extent, facts.duration_s) == (media_type, None, None)
    assert facts.error is not None and "install iiiffs[video]" in facts.error
    assert facts_fingerprint() != with_extra


@pytest.mark.parametrize(
    "data",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
)
def test_playlists_are_not_opened(data: bytes) -> None:
    assert read_facts(BytesIO(data), "list").media_type == "application/octet-stream"


def test_facts_of_another_video_are_refused() -> None:
    source = Source(clip())
    other = replace(source.facts, extent=Extent(64, 96))
    with pytest.raises(Undecodable):
        Renderer(RenderLimits()).render("k", source.open, whole(other), other)
