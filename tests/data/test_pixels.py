from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evenscore.data.pixels import UnreadableImage, describe, fit, from_uint8, read_image, read_size, save_png, to_uint8

RAMP = np.arange(0, 240, dtype=np.uint8).reshape(12, 20)
COLOUR = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def test_every_byte_survives_the_way_there_and_back() -> None:
    values = np.arange(256 * 3, dtype=np.uint8).reshape(4, 8, 8, 3)
    x = from_uint8(values)
    assert x.shape == (4, 3, 8, 8)
    assert (x.min(), x.max()) == (-1, 1)
    np.testing.assert_array_equal(to_uint8(x), values)


def test_to_uint8_clamps_and_rounds() -> None:
    x = torch.tensor([-3.0, -1.0, 0.0, 0.4 / 127.5 - 1, 0.6 / 127.5 - 1, 1.0, 9.0]).view(1, 1, 1, 7)
    assert to_uint8(x).ravel().tolist() == [0, 0, 128, 0, 1, 255, 255]


@pytest.mark.parametrize("array", [RAMP, RAMP[..., None], COLOUR])
def test_png_files_hold_exactly_the_pixels(tmp_path: Path, array: np.ndarray) -> None:
    save_png(array, tmp_path / "a.png")
    image, kinds = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(image), array.squeeze())
    assert kinds == set()
    assert image.mode == ("RGB" if array is COLOUR else "L")


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLOUR).save(path, exif=exif)
    upright = {
        2: COLOUR[:, ::-1],
        3: COLOUR[::-1, ::-1],
        4: COLOUR[::-1],
        5: COLOUR.transpose(1, 0, 2),
        6: np.rot90(COLOUR, -1),
        7: np.rot90(COLOUR, 2).transpose(1, 0, 2),
        8: np.rot90(COLOUR, 1),
    }[orientation]
    image, kinds = read_image(path)
    np.testing.assert_array_equal(np.asarray(image), upright)
    assert kinds == {"exif"}
    assert read_size(path) == upright.shape[:2]


def test_exif_rotated_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RAMP).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg")[0].size == (12, 20)


def test_palette_becomes_rgb_and_its_transparency_white(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR).quantize(16)
    image.save(tmp_path / "a.png")
    read, kinds = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(read), np.asarray(image.convert("RGB")))
    assert (read.mode, kinds) == ("RGB", {"palette"})
    image.save(tmp_path / "b.png", transparency=3)
    read, kinds = read_image(tmp_path / "b.png")
    assert kinds == {"palette", "alpha"}
    assert (np.asarray(read)[np.asarray(image) == 3] == 255).all()


def test_alpha_is_composited_on_white(tmp_path: Path) -> None:
    alpha = np.zeros((12, 20, 1), np.uint8)
    alpha[:, 10:] = 255
    alpha[:, 5:10] = 128
    Image.fromarray(np.concatenate([COLOUR, alpha], -1)).save(tmp_path / "a.png")
    read, kinds = read_image(tmp_path / "a.png")
    share = alpha / 255
    np.testing.assert_allclose(np.asarray(read), COLOUR * share + 255 * (1 - share), atol=1)
    assert (read.mode, kinds) == ("RGB", {"alpha"})


def test_grey_alpha_stays_grey_and_opaque_alpha_is_not_mentioned(tmp_path: Path) -> None:
    Image.fromarray(np.stack([RAMP, np.full_like(RAMP, 255)], -1)).save(tmp_path / "a.png")
    read, kinds = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(read), RAMP)
    assert (read.mode, kinds) == ("L", set())


def test_colour_key_transparency_is_composited(tmp_path: Path) -> None:
    array = COLOUR.copy()
    array[0, 0] = (1, 2, 3)
    Image.fromarray(array).save(tmp_path / "a.png", transparency=(1, 2, 3))
    read, kinds = read_image(tmp_path / "a.png")
    assert np.asarray(read)[0, 0].tolist() == [255, 255, 255]
    assert kinds == {"alpha"}


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    deep = np.linspace(0, 65535, 240).astype(np.uint16).reshape(12, 20)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(deep).save(path)
    read, kinds = read_image(path)
    np.testing.assert_array_equal(np.asarray(read), np.rint(deep / 257))
    assert kinds == {"16-bit"}
    Image.fromarray(deep // 16).save(path)
    assert np.asarray(read_image(path)[0]).max() == 16, "a dark image stays dark"


def test_thirty_two_bit_and_float_grey(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for full in (65535, 2**31 - 1):
        deep = np.linspace(0, full, 240).astype(np.int32).reshape(12, 20)
        Image.fromarray(deep).save(path)
        read, kinds = read_image(path)
        np.testing.assert_allclose(np.asarray(read), deep / full * 255, atol=0.51)
        assert kinds == {"32-bit"}
    Image.fromarray((RAMP / np.float32(255)).astype(np.float32)).save(path)
    np.testing.assert_array_equal(np.asarray(read_image(path)[0]), RAMP)
    for bad in (np.full((2, 2), 7, np.float32), np.full((2, 2), np.nan, np.float32), np.full((2, 2), -5, np.int32)):
        Image.fromarray(bad).save(path)
        with pytest.raises(UnreadableImage, match="values outside"):
            read_image(path)


def test_sixteen_bit_pgm(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 65535\n" + np.array([0, 32896, 65535], ">u2").tobytes())
    assert np.asarray(read_image(tmp_path / "a.pgm")[0]).tolist() == [[0, 128, 255]]


def test_one_bit_and_cmyk(tmp_path: Path) -> None:
    bits = Image.fromarray(np.uint8(RAMP > 100) * 255).convert("1", dither=Image.Dither.NONE)
    bits.save(tmp_path / "a.png")
    read, kinds = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(read), np.uint8(RAMP > 100) * 255)
    assert kinds == {"1-bit"}
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "b.jpg", quality=100)
    read, kinds = read_image(tmp_path / "b.jpg")
    np.testing.assert_allclose(np.asarray(read)[4, 4], [0, 255, 255], atol=3)
    assert kinds == {"colour space"}


def test_the_first_frame_of_an_animation_is_used(tmp_path: Path) -> None:
    frames = [Image.new("L", (5, 5), shade) for shade in (10, 200, 90)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    read, kinds = read_image(tmp_path / "a.gif")
    assert "frames" in kinds
    assert np.asarray(read.convert("L")).mean() == pytest.approx(10, abs=1)


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = tmp_path / "huge.png"
    Image.new("1", (20000, 20000)).save(huge)
    large = tmp_path / "large.png"
    Image.new("1", (9000, 8000)).save(large)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    for path in (huge, large):
        for read in (read_image, read_size):
            with pytest.raises(UnreadableImage, match="64000000"):
                read(path)


def test_text_named_png_and_empty_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("this is no image\n" * 9)
    (tmp_path / "b.png").touch()
    for name, says in (("a.png", "not a PNG"), ("b.png", "not a PNG"), ("c.png", "no such file")):
        with pytest.raises(UnreadableImage, match=says):
            read_image(tmp_path / name)


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("evenscore.data.pixels.open_regular", denied)
    with pytest.raises(UnreadableImage, match="permission denied") as caught:
        read_image(tmp_path / "a.png")
    assert caught.value.exit_code == 3


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
def test_truncated_files_are_found(tmp_path: Path, kind: str) -> None:
    memory = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(memory, format=kind)
    whole = memory.getvalue()
    for share in (0.02, 0.3, 0.6, 0.9):
        (tmp_path / "a.img").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UnreadableImage):
            read_image(tmp_path / "a.img")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF"])
def test_damaged_files_give_an_image_or_the_one_error(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(2)
    memory = io.BytesIO()
    Image.fromarray(COLOUR).save(memory, format=kind)
    for _ in range(60):
        damaged = bytearray(memory.getvalue())
        for place in rng.integers(0, len(damaged), 4):
            damaged[place] = rng.integers(0, 256)
        (tmp_path / "a.img").write_bytes(damaged)
        try:
            image, _ = read_image(tmp_path / "a.img", max_pixels=10**6)
        except UnreadableImage:
            continue
        assert image.mode in ("L", "RGB")


def test_fit_crops_the_centre_and_filters() -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    np.testing.assert_array_equal(np.asarray(fit(Image.fromarray(wide), (10, 10))), wide[:, 10:20])
    stripes = np.tile(np.uint8([0, 255]), (64, 32))
    small = np.asarray(fit(Image.fromarray(stripes), (8, 8)))
    assert small.min() > 100, "single-pixel stripes average out"
    assert small.max() < 156
    assert fit(Image.fromarray(wide), (5, 7)).size == (7, 5)


def test_descriptions_count() -> None:
    assert describe(["palette"] * 12 + ["alpha"]) == (
        "12 palette images converted to RGB",
        "1 image with transparency composited on white",
    )
