"""Files into the store and back: every format, whole or not at all, and never a second copy in memory."""

import fcntl
import os
import pickle
import pty
import re
import struct
import subprocess
import sys
import termios

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from other_process import run_python

import tensord
from tensord import files

NUMPY_DTYPES = ["bool", "uint8", "int16", "uint32", "int64", "float16", "float32", "float64", "complex64", "complex128"]
FLOAT8_DTYPES = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"]


def some(dtype, shape=(3, 4)):
    return np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 7, dtype=dtype)


def same(view, expected):
    array = view.numpy()
    assert array.dtype == expected.dtype.newbyteorder("=") and array.shape == expected.shape
    np.testing.assert_array_equal(array, expected)
    return True


# ---- .npy ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_npy_both_ways(store, tmp_path, dtype):
    np.save(tmp_path / "in.npy", some(dtype))
    assert files.load(store, "run/a", tmp_path / "in.npy") == ["run/a"]
    assert same(store["run/a"], some(dtype))
    assert files.save(store, "run/a", tmp_path / "out.npy") == ["run/a"]
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "in.npy").read_bytes()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3, 5), (1, 2, 1, 3), (3, 700_001), (1, 1, 1_500_000)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_npy_of_any_shape_order_and_byte_order(store, tmp_path, shape, order, byte_order):
    array = np.asarray(some("f4", shape).astype(f"{byte_order}f4"), order=order)
    np.save(tmp_path / "in.npy", array)
    files.load(store, "a", tmp_path / "in.npy")
    assert same(store["a"], array)
    files.save(store, "a", tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), array)


def test_pieces_cover_each_element_once(monkeypatch):
    monkeypatch.setattr(files, "_PIECE_BYTES", 24)
    for shape in [(), (1,), (100,), (5, 7), (2, 3, 4), (4, 1, 9), (0, 3)]:
        seen = np.zeros(shape, np.int64)
        for index in files._pieces(shape, 4):
            assert seen[index].flags.c_contiguous and 0 < seen[index].size <= 6
            seen[index] += 1
        assert (seen == 1).all()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_objects_are_refused_unread(store, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    np.save(tmp_path / "a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(tensord.UnsupportedTypeError, match="Python objects"):
        files.load(store, "a", tmp_path / "a.npy")
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Bomb()))
    torch.save({"a": Bomb()}, tmp_path / "b.pt")
    for name in ("a.pt", "b.pt"):
        with pytest.raises(tensord.InvalidArgumentError, match="without running code"):
            files.load(store, "a", tmp_path / name)
    assert not (tmp_path / "exploded").exists() and list(store) == []


# ---- .npz, .safetensors, .pt ---------------------------------------------------------------------

CONTENT = {
    "weight": some("float32"),
    "layer/bias": some("int64", (5,)),
    "scalar": some("float64", ()),
    "none": some("uint8", (0, 2)),
}


def write(path, content):
    if path.suffix == ".npz":
        np.savez(path, **content)
    elif path.suffix == ".safetensors":
        safetensors.numpy.save_file(content, path)
    else:
        torch.save({key: torch.from_numpy(array) for key, array in content.items()}, path)


def read(path):
    if path.suffix == ".npz":
        return dict(np.load(path))
    if path.suffix == ".safetensors":
        return safetensors.numpy.load_file(path)
    return {key: tensor.numpy() for key, tensor in torch.load(path, weights_only=True).items()}


@pytest.fixture(params=[".npz", ".safetensors", ".pt", ".pth"])
def ending(request):
    return request.param


def test_many_tensors_both_ways(store, tmp_path, ending):
    write(tmp_path / f"in{ending}", CONTENT)
    names = files.load(store, "model", tmp_path / f"in{ending}")
    assert sorted(names) == sorted(store) == sorted(f"model/{key}" for key in CONTENT)
    for key, array in CONTENT.items():
        assert same(store[f"model/{key}"], array)
    store.put("models", 1)  # not below "model/"
    assert sorted(files.save(store, "model", tmp_path / f"out{ending}")) == sorted(names)
    out = read(tmp_path / f"out{ending}")
    assert out.keys() == CONTENT.keys()
    for key, array in CONTENT.items():
        np.testing.assert_array_equal(out[key], array)
        assert out[key].dtype == array.dtype


def test_an_empty_prefix_is_the_whole_store(store, tmp_path, ending):
    write(tmp_path / f"in{ending}", CONTENT)
    files.load(store, "", tmp_path / f"in{ending}")
    assert set(store) == set(CONTENT)
    files.save(store, "", tmp_path / f"out{ending}")
    assert read(tmp_path / f"out{ending}").keys() == CONTENT.keys()


def test_a_single_tensor_is_saved_under_its_last_part(store, tmp_path, ending):
    store.put("run/mean", some("float32"))
    files.save(store, "run/mean", tmp_path / f"out{ending}")
    np.testing.assert_array_equal(read(tmp_path / f"out{ending}")["mean"], some("float32"))


def test_a_compressed_npz_is_read(store, tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=some("float64", (300, 2000)), b=np.asfortranarray(some("int16")))
    files.load(store, "c", tmp_path / "a.npz")
    assert same(store["c/a"], some("float64", (300, 2000))) and same(store["c/b"], some("int16"))


# What each format has, NumPy has not, and torch has.
BEYOND_NUMPY = [
    *((".safetensors", name) for name in ("bfloat16", *FLOAT8_DTYPES)),
    *((".pt", name) for name in ("bfloat16", "complex32", *FLOAT8_DTYPES, "float4_e2m1fn_x2")),
]


def bits_of(tensor):
    return tensor.contiguous().view(torch.uint8).tolist()


@pytest.mark.parametrize("ending_, dtype", BEYOND_NUMPY)
def test_what_numpy_has_not_both_ways(store, tmp_path, ending_, dtype):
    tensor = torch.arange(48, dtype=torch.uint8).view(getattr(torch, dtype)).reshape(3, -1)
    path, out = tmp_path / f"in{ending_}", tmp_path / f"out{ending_}"
    (safetensors.torch.save_file if ending_ == ".safetensors" else torch.save)({"w": tensor}, path)
    files.load(store, "m", path)
    assert store["m/w"].dtype == dtype and bits_of(store["m/w"].torch()) == bits_of(tensor)
    files.save(store, "m", out)
    load = safetensors.torch.load_file if ending_ == ".safetensors" else torch.load
    assert load(out)["w"].dtype == tensor.dtype and bits_of(load(out)["w"]) == bits_of(tensor)
    for numpy_ending in (".npy", ".npz"):
        with pytest.raises(tensord.UnsupportedTypeError, match="save 'm/w' as .safetensors or .pt"):
            files.save(store, "m/w", tmp_path / f"out{numpy_ending}")
        assert not (tmp_path / f"out{numpy_ending}").exists()


def test_a_module_goes_through_a_file(store, tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    torch.save(module.state_dict(), tmp_path / "m.pt")
    files.load(store, "m", tmp_path / "m.pt")
    state = {name.removeprefix("m/"): view.torch() for name, view in store.items()}
    again = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    again.load_state_dict(state, assign=True)
    batch = torch.randn(8, 4)
    assert torch.equal(again.eval()(batch), module.eval()(batch))


def test_strides_of_a_pt_file_become_contiguous(store, tmp_path):
    tensor = torch.arange(12.0).reshape(3, 4).T
    torch.save(tensor, tmp_path / "one.pt")
    torch.save({"t": tensor}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert files.load(store, "one", tmp_path / "one.pt") == ["one"]
    assert files.load(store, "old", tmp_path / "old.pt") == ["old/t"]
    assert torch.equal(store["one"].torch(), tensor) and torch.equal(store["old/t"].torch(), tensor)


@pytest.mark.parametrize("content", [[1, 2], {"a": {"b": torch.zeros(1)}}, {1: torch.zeros(1)}], ids=str)
def test_what_is_no_flat_dict_of_tensors_is_refused(store, tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(tensord.InvalidArgumentError, match="dict"):
        files.load(store, "a", tmp_path / "a.pt")


def test_live_tensors(store, tmp_path, ending):
    write(tmp_path / f"in{ending}", CONTENT)
    files.load(store, "m", tmp_path / f"in{ending}", live=True)
    store.attach("m/weight", "r+").numpy()[:] = 9
    files.save(store, "m", tmp_path / f"out{ending}")
    assert (read(tmp_path / f"out{ending}")["weight"] == 9).all()


# ---- whole or not at all -------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.999])
def test_a_file_that_is_cut_short_leaves_nothing_behind(store, tmp_path, ending, keep):
    path = tmp_path / f"cut{ending}"
    write(path, {"a": some("float32", (50, 100)), "b": some("float64", (30, 40))})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(tensord.InvalidArgumentError, match="cut"):
        files.load(store, "cut", path)
    assert list(store) == [] and store.stats().building_tensors == 0


@pytest.mark.parametrize("keep", [4, 100, 5000])
def test_a_npy_that_is_cut_short_leaves_nothing_behind(store, tmp_path, keep):
    path = tmp_path / "cut.npy"
    np.save(path, some("float32", (50, 100)))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(tensord.InvalidArgumentError, match="cut"):
        files.load(store, "cut", path)
    assert list(store) == [] and store.stats().building_tensors == 0


def test_damage_inside_of_an_npz_is_found(store, tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, a=some("uint8", (5000,)))
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(tensord.InvalidArgumentError, match="damaged"):
        files.load(store, "bad", path)
    assert list(store) == []


def test_names_that_exist_are_kept_unless_replace_is_said(store, tmp_path):
    np.savez(tmp_path / "a.npz", x=some("float32"), y=some("float32"))
    store.put("a/x", 5)
    with pytest.raises(tensord.AlreadyExistsError):
        files.load(store, "a", tmp_path / "a.npz")
    assert list(store) == ["a/x"] and int(store["a/x"].numpy()) == 5
    files.load(store, "a", tmp_path / "a.npz", replace=True)
    assert same(store["a/x"], some("float32"))


def test_a_save_that_fails_leaves_the_old_file(store, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"precious")
    store.put("a", some("complex128"))
    with pytest.raises(tensord.UnsupportedTypeError, match="safetensors"):
        files.save(store, "a", path)
    with pytest.raises(tensord.NotFoundError):
        files.save(store, "nothing", path)
    assert path.read_bytes() == b"precious" and os.listdir(tmp_path) == ["a.safetensors"]


def test_other_endings_are_refused(store, tmp_path):
    for use in (files.load, files.save):
        with pytest.raises(tensord.InvalidArgumentError, match=r"ending.*\.safetensors"):
            use(store, "a", tmp_path / "a.csv")


@pytest.mark.parametrize("ending_", [".npy", ".npz", ".safetensors"])
def test_no_temporary_of_the_whole(store, socket, tmp_path, ending_):
    # 64 MiB go in and out with 24 MiB of private memory to spare.
    done = run_python(
        socket,
        f"""
        import resource
        import safetensors.numpy
        from tensord import files
        store = tensord.connect()
        with store.build("large", (4, 1 << 22), "float32") as view:
            view.numpy()[:] = 1
        path = {str(tmp_path / ("large" + ending_))!r}
        def data_bytes():
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
        files.save(store, "large", path + {ending_!r})  # whatever is made once, is made now
        limit = data_bytes() + (24 << 20)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        try:
            bytearray(64 << 20)
        except MemoryError:
            files.save(store, "large", path)
            names = files.load(store, "again", path)
            say(float(store[names[0]].numpy().sum()))
        """,
    )
    assert (done.returncode, done.stdout) == (0, "16777216.0\n"), done.stderr


# ---- the command line, and progress --------------------------------------------------------------


def test_progress_is_told_in_order_up_to_the_whole(store, tmp_path, ending):
    write(tmp_path / f"in{ending}", CONTENT)
    for use in (files.load, files.save):
        told = []
        use(store, "m", tmp_path / f"in{ending}", progress=lambda *what: told.append(what))
        total = sum(array.nbytes for array in CONTENT.values())
        done = [at for _, at, _ in told]
        assert done == sorted(done) and done[-1] == total and {whole for _, _, whole in told} == {total}


def tensord_command(socket, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "tensord", *map(str, arguments)],
        env={**os.environ, "TENSORD_SOCKET": socket},
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def test_the_command_loads_and_saves(store, socket, tmp_path):
    np.savez(tmp_path / "digits.npz", images=some("float32"), labels=some("int64", (3,)))
    done = tensord_command(socket, "load", tmp_path / "digits.npz")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "digits/images",
        "digits/labels",
        f"2 tensors loaded from {tmp_path}/digits.npz",
    ]
    done = tensord_command(socket, "save", "digits", tmp_path / "out.safetensors")
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "out.safetensors").keys() == {"images", "labels"}

    done = tensord_command(socket, "load", tmp_path / "digits.npz")
    assert done.returncode == 1 and done.stderr.startswith("tensord: ") and "digits/" in done.stderr
    assert "Traceback" not in done.stderr
    done = tensord_command(socket, "load", tmp_path / "digits.npz", "digits", "--replace", "--live")
    assert done.returncode == 0 and store.info("digits/images").kind == "live"
    done = tensord_command("/nowhere", "load", tmp_path / "missing.npy", "--socket", socket)
    assert done.returncode == 1 and "missing.npy" in done.stderr


def test_a_terminal_gets_a_bar(store, socket, tmp_path):
    np.save(tmp_path / "a.npy", some("float32", (1000, 1000)))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    command = [sys.executable, "-m", "tensord", "load", str(tmp_path / "a.npy"), "[bold]name"]
    environment = {**os.environ, "TENSORD_SOCKET": socket, "TERM": "xterm"}
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is gone
                break
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert process.returncode == 0 and "[bold]name" in text and "4.0/4.0 MB" in text and "━" in text, text
