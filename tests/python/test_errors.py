"""One family of errors, each also the built-in that it naturally is, and all printing as text."""

import pickle

import pytest

import tensord

NATURES = {
    tensord.NotFoundError: KeyError,
    tensord.AlreadyExistsError: FileExistsError,
    tensord.OutOfSpaceError: MemoryError,
    tensord.PermissionDeniedError: PermissionError,
    tensord.InvalidArgumentError: ValueError,
    tensord.OutOfRangeError: IndexError,
    tensord.UnsupportedTypeError: TypeError,
    tensord.ConnectionLostError: ConnectionError,
    tensord.VersionMismatchError: Exception,
    tensord.LimitReachedError: Exception,
    tensord.WouldCopyError: BufferError,
    tensord.TimeoutError: TimeoutError,
    tensord.TornWriteError: Exception,
    tensord.InternalError: RuntimeError,
}


@pytest.mark.parametrize("error, nature", NATURES.items(), ids=lambda kind: kind.__name__)
def test_an_error_is_of_the_family_and_of_its_nature(error, nature):
    assert issubclass(error, tensord.Error) and issubclass(error, nature)
    assert error.__module__ == "tensord" and error.__doc__


@pytest.mark.parametrize("error", NATURES, ids=lambda kind: kind.__name__)
def test_an_error_prints_its_text_and_pickles(error):
    made = error("no tensor is named 'a'")
    assert str(made) == "no tensor is named 'a'"
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is error and str(again) == str(made)


def test_no_class_is_forgotten():
    classes = {
        value
        for value in vars(tensord).values()
        if isinstance(value, type) and issubclass(value, tensord.Error) and value is not tensord.Error
    }
    assert classes == set(NATURES)


def test_the_family_catches_what_the_library_raises(store):
    with pytest.raises(tensord.Error) as caught:
        store.attach("nobody")
    assert type(caught.value) is tensord.NotFoundError
    assert not str(caught.value).startswith('"')
