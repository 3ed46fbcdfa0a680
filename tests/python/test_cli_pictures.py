"""What the pictures are made of: numbers of every dtype, samples, and drawings that fit whatever is drawn."""

import io
import math

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from other_process import ask_python
from PIL import Image
from rich.cells import cell_len
from rich.console import Console

import tensord
from tensord import pictures
from tensord.pictures import choose, pixels, png, sample, terminal, text
from tensord.pictures.numbers import numbers
from tensord.pictures.statistics import statistics_of

# ---- numbers -------------------------------------------------------------------------------------

SMALL_FLOATS = [
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
]


@pytest.mark.parametrize("dtype", SMALL_FLOATS)
def test_every_bit_pattern_of_a_byte_is_the_number_that_ml_dtypes_says(dtype):
    bits = np.arange(256, dtype=np.uint8)
    expected = bits.view(getattr(ml_dtypes, dtype)).astype(np.float32)
    np.testing.assert_array_equal(numbers(bits, dtype), expected)
    np.testing.assert_array_equal(numbers(bits.view(getattr(ml_dtypes, dtype)), dtype), expected)


def test_every_bit_pattern_of_bfloat16_is_its_number():
    bits = np.arange(1 << 16, dtype=np.uint16)
    expected = bits.view(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(numbers(bits, "bfloat16"), expected)


def test_float4_pairs_are_two_numbers_along_the_last_dimension():
    every = np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float32)
    pairs = np.arange(256, dtype=np.uint8).reshape(2, 128)
    found = numbers(pairs, "float4_e2m1fn_x2")
    assert found.shape == (2, 256)
    np.testing.assert_array_equal(found[:, 0::2], every[pairs & 15])
    np.testing.assert_array_equal(found[:, 1::2], every[pairs >> 4])
    assert numbers(np.array(0x21, np.uint8), "float4_e2m1fn_x2").tolist() == [0.5, 1.0]


def test_complex32_and_float16_become_what_numpy_computes_with():
    halves = np.array([[1, -2], [0.5, np.inf]], np.float16)
    found = numbers(halves.view(np.uint32)[:, 0], "complex32")
    assert found.dtype == np.complex64 and found.tolist() == [1 - 2j, complex(0.5, math.inf)]
    assert numbers(halves, "float16").dtype == np.float32


TORCH_ONLY = ["bfloat16", "complex32", "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn_x2"]


@pytest.mark.parametrize("dtype", TORCH_ONLY)
def test_a_tensor_is_seen_without_ml_dtypes_as_with_it(store, socket, dtype):
    bits = torch.arange(64, dtype=torch.uint8).view(getattr(torch, dtype)).reshape(2, -1)
    seen = pictures.look(store.put("a", bits))
    code = """
        sys.modules["ml_dtypes"] = None
        from tensord import pictures
        seen = pictures.look(tensord.connect()["a"])
        say([seen.dtype, repr(seen.statistics), repr(seen.elements.tolist())])
    """
    assert ask_python(socket, code) == [dtype, repr(seen.statistics), repr(seen.elements.tolist())]


# ---- samples -------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**6), max_size=5), st.integers(1, 10**5), st.data())
def test_a_sample_is_as_small_as_asked_for_and_not_much_smaller(shape, most, data):
    whole = data.draw(st.sets(st.sampled_from(range(len(shape))), max_size=1)) if shape else set()
    steps = sample.steps_for(shape, most, whole)
    assert len(steps) == len(shape) and all(step >= 1 for step in steps) and all(steps[axis] == 1 for axis in whole)
    taken = math.prod(-(-size // step) for size, step in zip(shape, steps, strict=True))
    kept = math.prod(shape[axis] for axis in whole)
    if kept <= most:
        assert taken <= most
    if math.prod(shape) <= most:
        assert set(steps) <= {1}


def test_a_sample_of_a_large_tensor_is_of_all_of_it_and_says_how_many_are_left_out(store):
    ramp = np.arange(3000 * 2000, dtype=np.float32).reshape(3000, 2000)
    seen = pictures.look(store.put("ramp", ramp), max_elements=10_000)
    assert seen.elements.size <= 10_000 and seen.one_in * seen.elements.size >= ramp.size
    assert seen.statistics.minimum == 0 and seen.statistics.maximum > ramp.size * 0.98
    assert abs(seen.statistics.mean / ramp.mean() - 1) < 0.05
    assert f"of a sample, 1 element in {seen.one_in:,}" in text.figures(seen, 80)


def test_only_the_sample_of_a_tensor_is_copied(store):
    view = store.put("large", np.zeros((4096, 4096), np.uint8))
    before = view.bytes_copied
    part = view[::64, ::64]
    assert part.read().array.nbytes == part.bytes_copied == 4096
    assert view.bytes_copied == before
    assert sample.take(view, 4096).values.nbytes == 1024  # scattered elements are dear: a quarter of what may be whole
    assert sample.take(view[:64, :64], 4096).values.nbytes == 4096


def test_channels_are_never_thinned(store):
    image = np.zeros((600, 400, 3), np.uint8)
    image[..., 1] = 255
    seen = pictures.look(store.put("image", image), max_elements=5000)
    assert seen.pictures == ("image",) and seen.values.shape[2] == 3 and seen.values.size <= 5000
    assert (pixels.image(seen.values, "uint8", 10, 10) == (0, 255, 0)).all()


# ---- figures -------------------------------------------------------------------------------------


def test_figures_are_of_the_finite_numbers_and_count_the_others():
    found = statistics_of(np.array([1, 2, np.nan, np.inf, -np.inf, 3.0]))
    assert found == (6, 1, 2, 3, 1, 2)
    assert statistics_of(np.full(3, np.nan)) == (3, None, None, None, 3, 0)
    assert statistics_of(np.zeros((0, 4))) == (0, None, None, None, 0, 0)
    assert statistics_of(np.array([3 + 4j, 0])) == (2, 0, 2.5, 5, 0, 0)
    assert statistics_of(np.array([True, False])) == (2, False, 0.5, True, 0, 0)


def test_figures_of_large_numbers_neither_overflow_nor_are_rounded():
    largest = np.finfo(np.float64).max
    assert statistics_of(np.full(4, largest))[:4] == (4, largest, largest, largest)
    assert statistics_of(np.array([2**64 - 1, 2**64 - 3], np.uint64))[1:4:2] == (2**64 - 3, 2**64 - 1)


# ---- which picture -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "expected", "part"),
    [
        (np.zeros((40, 60, 3), np.uint8), ("image",), ""),
        (np.zeros((40, 60, 4), np.uint8), ("image",), ""),
        (np.zeros((40, 60, 1), np.uint8), ("image",), ""),
        (np.zeros((3, 40, 60), np.uint8), ("image",), ""),
        (np.full((40, 60, 3), 0.5), ("image",), ""),
        (np.full((40, 60, 3), 1.5), ("heatmap", "histogram"), "0,:,:"),
        (np.full((40, 60, 3), -0.5), ("heatmap", "histogram"), "0,:,:"),
        (np.zeros((5, 3, 40, 60), np.uint8), ("image",), "0,:,:,:"),
        (np.zeros((40, 60)), ("heatmap",), ""),
        (np.zeros((40, 60), bool), ("heatmap",), ""),
        (np.zeros((40, 60), np.complex64), ("heatmap",), ""),
        (np.zeros(1000), ("line", "histogram"), ""),
        (np.zeros((1, 1000)), ("line", "histogram"), ""),
        (np.zeros(5), ("table",), ""),
        (np.zeros((4, 5)), ("table",), ""),
        (np.zeros(()), ("table",), ""),
        (np.zeros((64, 32, 3, 3)), ("table", "histogram"), "0,0,:,:"),
        (np.zeros((0, 3)), (), ""),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else None,
)
def test_the_picture_suits_the_tensor(store, array, expected, part):
    seen = pictures.look(store.put("a", array))
    assert (seen.pictures, seen.values_index) == (expected, part)
    if part:
        assert any(f"[{part}]" in line for line in text.figures(seen, 80))


def test_what_is_asked_for_is_shown(store):
    view = store.put("a", np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5))
    seen = pictures.look(view, index=choose.read_index("1,:,2"), picture="table")
    np.testing.assert_array_equal(seen.values, view.numpy()[1, :, 2])
    assert seen.index == "1,:,2" and "of [1,:,2], (3, 5)" in text.figures(seen, 80)
    for kind in choose.KINDS:
        assert pictures.look(view, picture=kind).pictures == (kind,)
    with pytest.raises(tensord.OutOfRangeError):
        pictures.look(view, index=choose.read_index("7"))


@pytest.mark.parametrize("words", ["0", "0,:", ":,::2", "1:3,...", "-1", ":5", "5:", "2:8:3", "..."])
def test_an_index_is_read_as_numpy_means_it_and_written_as_it_was(words):
    array = np.arange(10 * 10 * 10).reshape(10, 10, 10)
    index = choose.read_index(words)
    np.testing.assert_array_equal(array[index], eval(f"array[{words}]"))
    assert choose.index_text(index) in (words, words.replace("[", ""))
    assert choose.read_index(f"[{words}]") == index


@pytest.mark.parametrize("words", ["", "a", "1.5", "0,,1", "::::", "0;1", "__import__('os')"])
def test_what_is_no_index_is_refused_with_an_example(words):
    with pytest.raises(tensord.InvalidArgumentError, match="0,:,10:20"):
        choose.read_index(words)


# ---- drawings ------------------------------------------------------------------------------------


def shown(renderable, width, height=40, **console):
    console = Console(file=io.StringIO(), width=width, height=height, **console)
    console.print(renderable)
    return console.file.getvalue().splitlines()


DTYPES = st.sampled_from(["bool", "uint8", "int16", "int64", "uint64", "float16", "float32", "float64", "complex64"])
SHAPES = st.one_of(arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=40))
ANY_ARRAY = DTYPES.flatmap(
    lambda dtype: SHAPES.flatmap(lambda shape: arrays.arrays(dtype, shape, fill=arrays.from_dtype(np.dtype(dtype))))
)


@pytest.mark.filterwarnings("error")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANY_ARRAY, st.sampled_from([None, *choose.KINDS]), st.integers(20, 120), st.integers(4, 40))
def test_everything_is_drawn_within_its_space(store, array, kind, width, height):
    with store.put("any", array, replace=True) as view:
        seen = pictures.look(view, picture=kind, max_elements=3000)
    for line in text.figures(seen, width):
        assert cell_len(line) <= width
    for each in seen.pictures:
        lines = text.picture(seen, each, width, height)
        assert len(lines) <= height
        if each != "table":  # a number is shown whole, however narrow it is
            assert all(cell_len(line) <= width for line in lines)
    for colours in (True, False):
        drawn = shown(terminal.pictures(seen, width, height, colours=colours), width, force_terminal=True)
        assert len(drawn) <= max(height, 2 * len(seen.pictures))


@pytest.mark.filterwarnings("error")
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANY_ARRAY, st.sampled_from([None, *choose.KINDS]))
def test_everything_becomes_a_png_of_the_size_that_was_asked_for(store, array, kind):
    with store.put("any", array, replace=True) as view:
        seen = pictures.look(view, picture=kind, max_elements=3000)
    file = io.BytesIO()
    png.draw(seen, file, 320, 240)
    with Image.open(file) as found:
        assert found.size == (320, 240)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 200), st.integers(1, 200))
def test_an_image_keeps_its_proportions_as_far_as_whole_pixels_can(rows, columns, max_rows, max_columns):
    high, wide = pixels.size_of_image(rows, columns, max_rows, max_columns)
    assert 1 <= high <= max_rows and 1 <= wide <= max_columns
    scale = min(max_rows / rows, max_columns / columns)
    if scale < 1:
        assert abs(high - rows * scale) <= 1 and abs(wide - columns * scale) <= 1
    else:
        assert high % rows == 0 and high // rows == wide // columns


def test_blocks_are_their_means_and_a_single_nan_among_many_is_seen():
    values = np.arange(16.0).reshape(4, 4)
    assert pixels.resize(values, 2, 2).tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert pixels.resize(values, 8, 4)[:4:2].tolist() == values[:2].tolist()
    values = np.zeros((300, 300))
    values[123, 45] = np.nan
    drawn = pixels.heatmap(values, 30, 30)
    assert np.argwhere((drawn == pixels.NOT_FINITE).all(axis=-1)).tolist() == [[12, 4]]


def test_a_heat_map_is_darkest_at_the_least_and_lightest_at_the_largest():
    drawn = pixels.heatmap(np.array([[-5.0, 0, 1e300]]), 1, 3)[0].astype(int).sum(axis=-1)
    assert drawn.tolist() == [pixels.RAMP[0].astype(int).sum()] * 2 + [pixels.RAMP[-1].astype(int).sum()]
    brightness = pixels.RAMP @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(brightness) > -1).all()  # so that it is right in grey, too


def test_transparent_pixels_show_what_is_behind_them():
    image = np.zeros((1, 2, 4), np.uint8)
    image[0, :, 0] = 255
    image[0, 0, 3] = 255
    opaque, clear = pixels.image(image, "uint8", 1, 2)[0].tolist()
    assert opaque == [255, 0, 0] and clear[0] == clear[1] == clear[2]


def test_two_pixels_are_one_letter_of_two_colours():
    colours = np.array([[[255, 0, 0]], [[0, 0, 255]], [[1, 2, 3]]], np.uint8)
    first, second = shown(terminal.HalfBlocks(colours), 10, force_terminal=True, color_system="truecolor")
    assert first == "\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[0m" and second == "\x1b[38;2;1;2;3m▀\x1b[0m"
    terminal._style.cache_clear()  # rich keeps a style's codes with it, of the terminal that it was for
    few = shown(terminal.HalfBlocks(colours), 10, force_terminal=True, color_system="256")
    assert few[0].startswith("\x1b[38;5;") and "▀" in few[0]


def test_a_small_matrix_in_letters(store):
    seen = pictures.look(store.put("run/a", np.arange(6.0).reshape(2, 3)))
    assert text.lines(seen, 80) == [
        "run/a  float64  (2, 3)  48 bytes  sealed",
        "min 0  mean 2.5  max 5",
        "  0  1  2",
        "  3  4  5",
    ]


def test_a_small_vector_in_letters(store):
    seen = pictures.look(store.put("v", np.array([0, 0.5, np.nan, np.inf, -1.25], np.float32)))
    assert text.lines(seen, 30) == [
        "v  float32  (5,)  20 bytes",
        "sealed",
        "min -1.25  mean -0.25  max 0.5",
        "NaN 1  infinite 1",
        "[0]        0    0.5    nan",
        "[3]      inf  -1.25",
    ]


def test_a_histogram_in_letters():
    assert text.histogram(np.repeat([1, 2, 4], [4, 2, 1]), 14, 10) == ["1 │████████ 4", "2 │████ 2", "3 │ 0", "4 │██ 1"]
    assert text.histogram(np.array([True, True, False]), 20, 10) == ["False │█████ 1", " True │██████████ 2"]
    labels, counts = text.bins_of(np.array([0.0, 0.1, 1.0, np.nan, np.inf]), 2)
    assert (labels, counts.tolist()) == (["0 … 0.5", "0.5 … 1"], [2, 1])


def test_a_line_in_letters():
    assert text.line(np.arange(9.0), 8, 2) == [" 8│⠀⠀⢀⡤⠞", " 0│⣠⠖⠋⠀⠀"]
    assert text.line(np.full(9, np.nan), 8, 2) == ["no finite numbers"]


def test_shades_of_a_heat_map(store):
    seen = pictures.look(store.put("m", np.tile(np.linspace(0, 1, 10), (2, 1))), picture="heatmap")
    assert text.picture(seen, "heatmap", 10, 1) == [" .:-=+*#%@"]
    seen = pictures.look(store.put("n", np.array([[0, np.nan, 1]])), picture="heatmap")
    assert text.picture(seen, "heatmap", 8, 1) == ["  !!@@"]


# ---- PNG -----------------------------------------------------------------------------------------


def test_a_png_has_the_size_that_was_asked_for_and_the_colours_of_the_image(store, tmp_path):
    image = np.zeros((50, 100, 3), np.uint8)
    image[:, :50, 0] = image[:, 50:, 2] = 255
    png.write(pictures.look(store.put("im$a$ge", image)), tmp_path / "a.png", 640, 480)
    with Image.open(tmp_path / "a.png") as found:
        assert (found.format, found.size) == ("PNG", (640, 480))
        colours = {colour[:3] for _, colour in found.getcolors(1 << 20)}
        assert {(255, 0, 0), (0, 0, 255)} <= colours


def test_a_png_that_cannot_be_written_leaves_the_old_one(store, tmp_path):
    seen = pictures.look(store.put("a", np.zeros(3)))
    with pytest.raises(OSError):
        png.write(seen, tmp_path / "nowhere" / "a.png")
    assert list(tmp_path.iterdir()) == []
