"""Whole models: put under one prefix, attached together, tied weights shared on both sides."""

from pathlib import Path

import numpy as np
import pytest
import torch
from other_process import OtherProcess, ask_python

import tensord
from tensord import files


class Tied(torch.nn.Module):
    """A tiny language model: its last layer has the weights of its first."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(7, 5)
        self.norm = torch.nn.BatchNorm1d(5)
        self.head = torch.nn.Linear(5, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.norm(self.embed(tokens)))


TOKENS = torch.tensor([1, 4, 2, 6, 0])


@pytest.fixture
def module():
    torch.manual_seed(3)
    return Tied().eval()


def test_a_model_put_here_computes_the_same_there_and_shares_its_tied_weights(store, socket, module):
    before = store.stats().bytes_copied_in
    views = store.put_state_dict("m", module)
    state = module.state_dict()
    assert list(views) == [f"m/{key}" for key in state]
    assert views["m/head.weight"].location == views["m/embed.weight"].location
    once = sum(tensor.nbytes for key, tensor in state.items() if key != "head.weight")
    assert store.stats().bytes_copied_in - before == once == sum(view.bytes_copied for view in views.values())
    told = ask_python(
        socket,
        """
        import torch
        store = tensord.connect()
        state = store.state_dict("m")
        assert state["head.weight"] is state["embed.weight"]
        weight, stats = state["embed.weight"], store.stats()
        shown = torch.nn.functional.embedding(torch.tensor([1, 4]), weight).tolist()
        say([{key: [str(tensor.dtype), list(tensor.shape)] for key, tensor in state.items()}, shown,
             stats.bytes_copied_in, stats.bytes_copied_out])
        """,
    )
    assert told[0] == {key: [str(tensor.dtype), list(tensor.shape)] for key, tensor in sorted(state.items())}
    assert list(told[0]) == sorted(state)
    assert told[1:] == [module.embed.weight[[1, 4]].tolist(), 0, 0]


def test_load_state_dict_assigns_without_a_copy(store, module):
    views = store.put_state_dict("m", module)
    with torch.device("meta"):
        again = Tied().eval()
    again.load_state_dict(store.state_dict("m"), assign=True)
    assert torch.equal(again(TOKENS), module(TOKENS))
    assert again.embed.weight.data_ptr() == again.head.weight.data_ptr()
    assert again.embed.weight.requires_grad and not views["m/embed.weight"].numpy().flags.writeable


def test_training_on_a_sealed_set_writes_nothing_back(store, socket, module):
    store.put_state_dict("m", module)
    before = module.state_dict()
    told = ask_python(
        socket,
        f"""
        import sys
        import torch
        store = tensord.connect()
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_state_dict import TOKENS, Tied
        model = Tied()
        model.load_state_dict(store.state_dict("m"), assign=True)
        model.head.weight = model.embed.weight  # tied again
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        first = model.embed.weight.clone()
        for _ in range(3):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(TOKENS), TOKENS).backward()
            optimizer.step()
        say([bool((model.embed.weight != first).any()), bool((model.head.weight == model.embed.weight).all()),
             int(model.norm.num_batches_tracked)])
        """,
    )
    assert told == [True, True, 3]
    for key, tensor in store.state_dict("m").items():
        assert torch.equal(tensor, before[key])


def test_a_live_set_is_written_for_all_to_see(store, socket, module):
    store.put_state_dict("m", module, live=True)
    with pytest.raises(tensord.WouldCopyError, match=r'mode="r\+"'):
        store.state_dict("m")
    mine = store.state_dict("m", mode="r+")
    with OtherProcess(
        socket,
        """
        import torch
        state = tensord.connect().state_dict("m", "r+")
        state["embed.weight"].fill_(2)
        say(state["head.weight"].unique().tolist())
        say(hear() + state["norm.bias"].tolist())
        """,
    ) as other:
        assert other.hear() == [2]
        assert mine["head.weight"].unique().tolist() == mine["embed.weight"].unique().tolist() == [2]
        mine["norm.bias"].fill_(8)
        other.say([])
        assert other.hear() == [8] * 5
    assert (module.embed.weight != 2).any()


def test_parts_of_a_weight_stay_parts_of_it(store):
    whole = torch.arange(12.0).reshape(3, 4)
    mapping = {"qkv": whole, "q": whole[0], "k": whole[1], "turned": whole.T, "alone": torch.ones(2)}
    store.put_state_dict("m", mapping)
    state = store.state_dict("m")
    for key, tensor in mapping.items():
        assert torch.equal(state[key], tensor) and state[key].stride() == tensor.stride()
    state["k"].fill_(50)
    assert state["qkv"][1].tolist() == [50] * 4 and state["turned"][:, 1].tolist() == [50] * 4
    assert state["q"].tolist() == [0, 1, 2, 3] and store["m/k"].numpy().tolist() == [4, 5, 6, 7]


def test_parts_of_one_storage_that_do_not_overlap_are_separate(store):
    storage = torch.arange(8.0)
    store.put_state_dict("m", {"a": storage[:4], "b": storage[4:], "none": storage[4:4]})
    state = store.state_dict("m")
    state["a"].zero_()
    assert state["b"].tolist() == [4, 5, 6, 7] and state["none"].shape == (0,)


def test_mappings_of_numpy_arrays_are_state_dicts_too(store):
    store.put_state_dict("m", {"w": np.arange(3.0), "b": torch.zeros(2, dtype=torch.bfloat16)})
    state = store.state_dict("m")
    assert state["w"].tolist() == [0, 1, 2] and state["b"].dtype == torch.bfloat16


def test_an_empty_prefix_is_the_whole_store(store):
    store.put_state_dict("", {"a": torch.ones(1), "n/b": torch.zeros(1)})
    assert sorted(store) == ["a", "n/b"] == list(store.state_dict(""))
    assert list(store.state_dict("n")) == ["b"]


def test_dtypes_and_shapes_of_all_kinds_come_back(store):
    mapping = {
        "scalar": torch.tensor(3),
        "none": torch.zeros(2, 0),
        "channels_last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "bool": torch.tensor([True, False]),
        "half": torch.rand(3).half(),
    }
    store.put_state_dict("m", mapping)
    for key, tensor in store.state_dict("m").items():
        assert tensor.dtype == mapping[key].dtype and torch.equal(tensor, mapping[key])
        assert tensor.stride() == mapping[key].stride()


@pytest.mark.parametrize(
    "given, error, text",
    [
        ({"a": torch.zeros(1), "b": 5}, tensord.UnsupportedTypeError, "'b' is a int, not a tensor"),
        (torch.optim.Adam([torch.zeros(1)]).state_dict(), tensord.UnsupportedTypeError, "'state' is a dict.*put_many"),
        ({1: torch.zeros(1)}, tensord.InvalidArgumentError, "keys of a state dict are str, not 1"),
        ([torch.zeros(1)], tensord.InvalidArgumentError, "Module or a mapping.*not a list"),
        ({"a": torch.zeros(1), "b": torch.eye(2).to_sparse()}, tensord.UnsupportedTypeError, "'m/b': .*to_dense"),
    ],
    ids=["number", "optimizer", "key", "list", "sparse"],
)
def test_what_is_no_state_dict_is_refused_whole(store, given, error, text):
    with pytest.raises(error, match=text):
        store.put_state_dict("m", given)
    assert list(store) == [] and store.stats().building_tensors == 0


def test_a_set_is_replaced_as_a_whole_or_not_at_all(store, module):
    store.put("m/norm.bias", 1)
    with pytest.raises(tensord.AlreadyExistsError):
        store.put_state_dict("m", module)
    assert list(store) == ["m/norm.bias"]
    store.put_state_dict("m", module, replace=True)
    old = store.state_dict("m")
    store.put_state_dict(
        "m", {key: torch.zeros_like(tensor) for key, tensor in module.state_dict().items()}, replace=True
    )
    assert torch.equal(old["embed.weight"], module.embed.weight)
    assert not any(tensor.any() for tensor in store.state_dict("m").values())


def test_readers_never_see_two_models_mixed(store, socket, module):
    state = module.state_dict()

    def put(value):
        full = {key: torch.full_like(tensor, value) for key, tensor in state.items() if key != "head.weight"}
        store.put_state_dict("m", {**full, "head.weight": full["embed.weight"]}, replace=True)

    put(0)
    with OtherProcess(
        socket,
        """
        store = tensord.connect()
        say("ready")
        newest = 0
        while newest < 60:
            values = {float(value) for tensor in store.state_dict("m").values() for value in tensor.unique()}
            if len(values) != 1:
                break
            newest = values.pop()
        say(newest)
        """,
    ) as other:
        assert other.hear() == "ready"
        for value in range(1, 61):
            put(value)
        assert other.hear() == 60


def test_a_prefix_with_nothing_below_says_so(store):
    store.put("models/a", 1)
    with pytest.raises(tensord.NotFoundError, match="below 'model/'"):
        store.state_dict("model")


# ---- files ---------------------------------------------------------------------------------------


def test_tied_weights_of_a_pt_file_stay_tied_both_ways(store, tmp_path, module):
    state = module.state_dict()
    torch.save(state, tmp_path / "in.pt")
    before, told = store.stats().bytes_copied_in, []
    names = files.load(store, "m", tmp_path / "in.pt", progress=lambda *what: told.append(what))
    assert names == [f"m/{key}" for key in state]
    assert store.stats().bytes_copied_in - before == sum(t.nbytes for key, t in state.items() if key != "head.weight")
    assert told[-1][1] == told[-1][2] == sum(tensor.nbytes for tensor in state.values())
    assert store["m/head.weight"].location == store["m/embed.weight"].location
    files.save(store, "m", tmp_path / "out.pt")
    again = torch.load(tmp_path / "out.pt", weights_only=True)
    assert again["head.weight"].data_ptr() == again["embed.weight"].data_ptr()
    assert again.keys() == state.keys() and all(torch.equal(again[key], state[key]) for key in state)


@pytest.mark.parametrize("ending", [".npz", ".pt"])
def test_the_tensors_of_a_file_are_published_together(store, tmp_path, ending):
    path, content = tmp_path / f"m{ending}", {"a": np.arange(3.0), "b": np.ones(2), "c": np.zeros(4)}
    if ending == ".npz":
        np.savez(path, **content)
    else:
        torch.save({key: torch.from_numpy(array) for key, array in content.items()}, path)

    def somebody_else(name, done, total):
        assert not {"m/a", "m/c"} & set(store)
        store.put("m/b", -1, replace=True)

    with pytest.raises(tensord.AlreadyExistsError, match="m/b"):
        files.load(store, "m", path, progress=somebody_else)
    assert list(store) == ["m/b"] and store.stats().building_tensors == 0
    del store["m/b"]
    files.load(store, "m", path)
    assert sorted(store) == ["m/a", "m/b", "m/c"]
