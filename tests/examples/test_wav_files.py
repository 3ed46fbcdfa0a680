"""WAV files of many makes, good and broken, through the decoder of examples/audio. Those of SciPy's own tests are real
files that other programs wrote, or that once crashed a reader."""

import struct
from importlib.resources import files

import numpy as np
import pytest
from scipy.io import wavfile
from stream import Stream

SCIPY = files("scipy.io.tests.data")

GOOD = [
    "test-44100Hz-2ch-32bit-float-le.wav",
    "test-44100Hz-le-1ch-4bytes.wav",
    "test-48000Hz-2ch-64bit-float-le-wavex.wav",
    "test-8000Hz-le-2ch-1byteu.wav",
    "test-8000Hz-le-3ch-5S-24bit.wav",
    "test-8000Hz-le-4ch-9S-12bit.wav",
    "test-8000Hz-le-5ch-9S-5bit.wav",
    "test-1234Hz-le-1ch-10S-20bit-extra.wav",
]

BROKEN = {
    "test-44100Hz-2ch-32bit-float-be.wav": "is big-endian (RIFX)",
    "test-44100Hz-le-1ch-4bytes-rf64.wav": "is an RF64 file",
    "test-44100Hz-le-1ch-4bytes-early-eof.wav": "ends too early: its 'data' chunk promises",
    "test-44100Hz-le-1ch-4bytes-early-eof-no-data.wav": "has no 'data' chunk",
    "test-44100Hz-le-1ch-4bytes-incomplete-chunk.wav": "ends in the middle of a chunk's header",
    "test-8000Hz-le-1ch-1byte-ulaw.wav": "is compressed (format 7)",
    "test-8000Hz-le-3ch-5S-24bit-inconsistent.wav": "contradicts itself",
    "test-8000Hz-le-3ch-5S-36bit.wav": "has samples of 36 bits",
    "test-8000Hz-le-3ch-5S-64bit.wav": "has samples of 64 bits",
}


def in_floats(samples):
    """As the decoder scales them: to [-1, 1)."""
    if samples.dtype == np.uint8:
        return samples.astype(np.float32) / 128 - 1
    if samples.dtype.kind == "i":
        return samples.astype(np.float32) / np.float32(2.0 ** (8 * samples.itemsize - 1))
    return samples.astype(np.float32)


def received(store, decode, path):
    decoder = decode(path)
    stream = Stream(store, "it")
    blocks = list(stream.blocks())
    assert decoder.wait(timeout=60) == 0
    return stream.format, np.concatenate(blocks)


@pytest.mark.filterwarnings("ignore::scipy.io.wavfile.WavFileWarning")
@pytest.mark.parametrize("name", GOOD)
def test_a_file_arrives_as_scipy_reads_it(store, decode, name):
    rate_hz, samples = wavfile.read(str(SCIPY / name))
    form, arrived = received(store, decode, SCIPY / name)
    assert (form.rate_hz, form.frames, form.channels) == (rate_hz, len(samples), arrived.shape[1])
    np.testing.assert_array_equal(arrived, in_floats(samples).reshape(arrived.shape))


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_decoded_is_refused_by_its_name_before_anything_is_put(store, decode, name):
    decoder = decode(SCIPY / name)
    _, said = decoder.communicate(timeout=60)
    assert decoder.returncode == 1
    assert f"{name}: {BROKEN[name]}" in said
    assert list(store) == []


def test_a_file_that_is_not_there_is_refused(decode, tmp_path):
    _, said = decode(tmp_path / "none.wav").communicate(timeout=60)
    assert "none.wav: No such file or directory" in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "ends in the middle of a RIFF header"),
        (b"OggS" + bytes(40), "is no WAV file: it begins with 'OggS'"),
        (b"RIFF" + struct.pack("<I", 4) + b"WAVE", "has no 'data' chunk"),
        (b"RIFF" + struct.pack("<I", 12) + b"WAVEdata" + bytes(4), "has its 'data' chunk before a 'fmt ' chunk"),
        (
            b"RIFF" + struct.pack("<I", 20) + b"WAVEjunk" + struct.pack("<I", 1 << 31) + bytes(8),
            "ends too early: its 'junk'",
        ),
    ],
)
def test_a_header_that_promises_what_is_not_there_is_refused(decode, tmp_path, content, says):
    path = tmp_path / "it.wav"
    path.write_bytes(content)
    _, said = decode(path).communicate(timeout=60)
    assert says in said


def test_a_reader_that_is_slower_than_the_decoder_loses_nothing(store, decode, tmp_path):
    path = tmp_path / "ramp.wav"
    ramp = np.arange(-30_000, 30_000, dtype=np.int16)  # some hundred blocks: the ring goes round several times
    wavfile.write(path, 48_000, ramp)
    decoder = decode(path)
    blocks = []
    for block in Stream(store, "it").blocks():
        if len(blocks) == 3:  # until the decoder cannot go on
            ring, taken = store["audio/it/ring"], store["audio/it/taken"]
            while ring.version < taken.version + ring.shape[0]:
                ring.wait(ring.version, timeout=60)
        blocks.append(block)
    assert decoder.wait(timeout=60) == 0
    np.testing.assert_array_equal(np.concatenate(blocks)[:, 0], ramp / np.float32(32768))


def test_a_decoder_that_dies_leaves_a_reader_who_is_told_so(store, decode, monkeypatch, tmp_path):
    monkeypatch.setattr("stream.PATIENCE_S", 0.2)
    path = tmp_path / "long.wav"
    wavfile.write(path, 48_000, np.zeros(480_000, np.int16))
    decoder = decode(path)
    stream = Stream(store, "it")
    blocks = stream.blocks()
    next(blocks)
    decoder.kill()
    decoder.wait()
    with pytest.raises(Exception, match="ring"):  # of time, or torn, if it died while it wrote
        list(blocks)
