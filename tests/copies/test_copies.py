"""docs/copies.md, executed: every example with the producer in one process and the consumer in another,
in each pair of languages; and the rows of its tables."""

import re
import signal

import numpy as np
import page
import pytest
import torch

import tensord

EXAMPLES = page.examples()
PAIRS = [(producer, consumer) for producer in page.LANGUAGES for consumer in page.LANGUAGES]
NAME = "run/weights"


class Sides:
    """The two processes of an example, after each has run its block; or whoever went first, if the other could not."""

    def __init__(self, producer, consumer, number):
        self.example, self.number = EXAMPLES[number], number
        self.producer, self.consumer = producer, consumer
        self.counted = {"producer": producer.do("run", "producer", number)}

    def consume(self):
        self.counted["consumer"] = self.consumer.do("run", "consumer", self.number)

    def consume_without_a_copy(self):
        self.consume()
        self.check_same_content()
        self.check_counters(subject_copies=False)

    def look(self):
        return self.producer.do("look"), self.consumer.do("look")

    def check_same_content(self):
        """Both have the elements 0 to 5, the consumer maybe some of them only, at the same place in memory."""
        ours, theirs = self.look()
        assert sorted(ours["values"]) == [0, 1, 2, 3, 4, 5]
        assert set(theirs["values"]) <= set(ours["values"]) and len(theirs["values"]) >= 3
        if len(theirs["values"]) == 6:
            assert theirs["values"] == ours["values"]
        for what in ("place", "dtype", "shape", "strides", "nbytes"):
            assert ours[what] == theirs[what]

    def check_counters(self, subject_copies):
        """The subject copied the tensor once, or not at all; the consumer never in, the producer never out."""
        nbytes = self.producer.do("look")["nbytes"]
        subject = self.example.subject
        way = "in" if subject == "producer" else "out"
        assert self.counted[subject][way] == (nbytes if subject_copies else 0)
        assert self.counted["producer"]["out"] == self.counted["consumer"]["in"] == 0
        for counted in self.counted.values():
            if "by view" in counted:
                assert counted["by view"] == counted["in"] + counted["out"]

    def check_write(self, writer, reader, *, seen):
        """What `writer` writes into all of its weights, `reader` sees in as many of its own, or in none."""
        before = reader.do("look")["values"]
        assert writer.do("fill", 77)["done"]
        written = writer.do("look")["values"]
        assert set(written) == {77}
        after = reader.do("look")["values"]
        if seen:
            assert after.count(77) == min(len(written), len(after)) and 77 not in before
        else:
            assert after == before

    def drop(self):
        self.producer.ask("drop")
        self.consumer.ask("drop")


@pytest.fixture(params=PAIRS, ids=["-".join(pair) for pair in PAIRS])
def languages(request):
    return dict(zip(page.ROLES, request.param, strict=True))


@pytest.fixture
def make_sides(store, players, start_actor, languages):
    made = []

    def make(number, *, fresh_consumer=False):
        consumer = start_actor(languages["consumer"]) if fresh_consumer else players["consumer", languages["consumer"]]
        made.append(Sides(players["producer", languages["producer"]], consumer, number))
        return made[-1]

    yield make
    for sides in made:
        if sides.consumer in players.values():
            sides.consumer.ask("drop")
        sides.producer.ask("drop")


def with_claim(claim):
    numbers = [number for number, example in enumerate(EXAMPLES) if example.claim.startswith(claim)]
    assert numbers, f"no example of the page says {claim!r}"
    return pytest.mark.parametrize("number", numbers, ids=[EXAMPLES[number].title for number in numbers])


KNOWN_CLAIMS = ("Shares.", "Shares, read-only.", "Shares until written.", "Copies once.", "Raises `", "Dies of `")


def test_every_claim_of_the_page_is_tested_below():
    for example in EXAMPLES:
        assert example.claim.startswith(KNOWN_CLAIMS), f"{example.title}: what is {example.claim!r}?"


@with_claim("Shares.")
def test_what_shares_shows_the_writes_of_each_process_to_the_other(make_sides, number):
    sides = make_sides(number)
    sides.consume_without_a_copy()
    sides.check_write(sides.producer, sides.consumer, seen=True)
    if sides.example.subject == "consumer":
        sides.producer.do("fill", 5)
        sides.check_write(sides.consumer, sides.producer, seen=True)


@with_claim("Shares, read-only.")
def test_what_shares_read_only_shows_writes_and_makes_none(make_sides, store, number):
    sides = make_sides(number)
    sides.consume_without_a_copy()
    assert not sides.consumer.do("fill", 66)["done"]
    if store.info(NAME).kind == "live":
        sides.check_write(sides.producer, sides.consumer, seen=True)
    else:
        assert not sides.producer.do("fill", 66)["done"]
        sides.check_same_content()


@with_claim("Shares until written.")
def test_what_shares_until_written_keeps_its_writes_to_itself(make_sides, store, number):
    sides = make_sides(number)
    sides.consume_without_a_copy()
    sides.check_write(sides.consumer, sides.producer, seen=False)
    assert store[NAME].torch().tolist() == store[NAME].numpy().tolist() == [0, 1, 2, 3, 4, 5]


@with_claim("Copies once.")
def test_what_copies_is_its_owners_alone(make_sides, store, number):
    sides = make_sides(number)
    sides.consume()
    ours, theirs = sides.look()
    assert ours["values"] == theirs["values"] and sorted(ours["values"]) == [0, 1, 2, 3, 4, 5]
    assert ours["place"] == theirs["place"]  # of their views
    sides.check_counters(subject_copies=True)
    if sides.example.subject == "producer":
        sides.check_write(sides.producer, sides.consumer, seen=False)
    else:
        sides.check_write(sides.consumer, sides.producer, seen=False)
        if store.info(NAME).kind == "live":
            sides.producer.do("fill", 88)
            assert set(sides.consumer.do("look")["values"]) == {77}


@with_claim("Raises `")
def test_what_raises_names_both_ways_out(make_sides, number):
    sides = make_sides(number)
    answer = sides.consumer.ask("run", "consumer", number)
    assert f"Raises `{answer['error']}`." == sides.example.claim
    assert "r+" in answer["text"] or "kReadWrite" in answer["text"]
    assert "clone" in answer["text"]


@with_claim("Dies of `")
def test_the_hole_costs_the_writer_its_life_and_nobody_their_bytes(make_sides, number):
    sides = make_sides(number, fresh_consumer=True)
    sides.consume()
    sides.check_same_content()
    assert sides.consumer.ask("fill", 1) is None
    assert sides.consumer.wait() == -signal.SIGSEGV
    assert sides.producer.do("look")["values"] == [0, 1, 2, 3, 4, 5]


# ---- the tables ----------------------------------------------------------------------------------


def one(title):
    (number,) = (number for number, example in enumerate(EXAMPLES) if example.title == title)
    return number


@pytest.mark.parametrize(
    "title, given, stored",
    [("torch.tensor(a) is store.put(name, a)", "float32", "float32"),
     ('torch.Tensor(a) is store.put(name, a, dtype="float32")', "float64", "float32")],
    ids=["put keeps the dtype", "put casts"],
)  # fmt: skip
def test_dtypes_are_as_the_first_table_says(make_sides, players, title, given, stored):
    code = EXAMPLES[one(title)].blocks["producer", "python"].code
    assert f'dtype="{given}")\n' in code
    sides = make_sides(one(title))
    sides.consume()
    assert [side["dtype"] for side in sides.look()] == [stored, stored]


@pytest.mark.parametrize("given, shape, strides", page.table("you put"))
def test_layouts_are_stored_as_the_page_says(store, players, given, shape, strides):
    array = eval(given, {"np": np, "torch": torch})
    view = store.put("layout", array)
    assert (str(view.shape), str(view.strides)) == (shape, strides)
    consumer = players["consumer", "python"]
    consumer.do("attach", "layout")
    seen = consumer.do("look")
    consumer.do("drop")
    assert [str(tuple(seen["shape"])), str(tuple(seen["strides"]))] == [shape, strides]
    assert seen["values"] == np.asarray(array).ravel().tolist()


@pytest.mark.parametrize("code, error, text", page.table("this"))
def test_what_the_page_says_is_refused_is_refused(store, code, error, text):
    store.put("sealed", np.zeros(2, np.float32))
    keep = store.put("live", np.zeros(2, np.float32), live=True)
    names = {"np": np, "torch": torch, "store": store, "sealed": store["sealed"], "live": store["live"]}
    before = store.stats()
    with pytest.raises((ValueError, tensord.Error)) as caught:
        eval(code, names)
    assert type(caught.value).__name__ == error and text in str(caught.value)
    after = store.stats()
    assert (after.bytes_copied_in, after.bytes_copied_out) == (before.bytes_copied_in, before.bytes_copied_out)
    assert sorted(store) == ["live", "sealed"] and keep.numpy().tolist() == [0, 0]


def test_the_links_within_the_page_lead_somewhere():
    text = page.PATH.read_text()
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    links = set(re.findall(r"\]\(#([^)]*)\)", text))
    assert links and links <= anchors
