import pickle

from layerscope.errors import brief, missing, unknown


def test_what_is_missing_is_named_as_pip_knows_it():
    assert str(missing("conllu")) == (
        "This needs conllu, which is not installed. Install it with: pip install conllu"
    )
    assert str(missing("gguf", "accelerate")) == (
        "This needs gguf and accelerate, which are not installed. Install them with: pip install gguf accelerate"
    )
    assert str(missing("ray[data]")).endswith("pip install 'ray[data]'")


def test_every_error_can_be_made_again_of_its_sentence():
    error = missing("gguf")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(type(error)(f"In another process: {error}")) == f"In another process: {error}"


def test_of_very_many_names_some_are_listed_and_the_nearest():
    names = [f"scorer_{number}" for number in range(60)]
    said = str(unknown("scoring", "scorer_59x", names))
    assert "scorer_0, scorer_1," in said
    assert said.endswith("and 40 more. Did you mean 'scorer_59'?")
    assert len(str(unknown("scoring", "foo", names))) < 300
    assert str(unknown("segment", "lyne", ["line", "word"])) == (
        "Unknown segment 'lyne'; known: line, word. Did you mean 'line'?"
    )


def test_what_was_given_is_shown_on_one_short_line():
    assert brief("a\nb") == r"'a\nb'"
    assert len(brief("x" * 1000)) == 60
    assert brief({"a": 1}) == "a dict of 1"
    assert (brief((3, 9)), brief([object()]), brief([])) == ("(3, 9)", "a list of 1", "a list of 0")
    assert brief(object()) == "an object"
    assert brief(None) == "None"
