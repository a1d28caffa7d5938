import gzip
import io
import subprocess
import sys

import conllu
import pytest

from layerscope.corpus.conllu import Sentence, read_conllu
from layerscope.errors import InputError, MissingExtraError

ENGLISH = """\
# sent_id = 1
# text = "I don't know..."
1	"	"	PUNCT	``	_	5	punct	_	SpaceAfter=No
2	I	I	PRON	PRP	_	5	nsubj	_	_
3-4	don't	_	_	_	_	_	_	_	_
3	do	do	AUX	VBP	_	5	aux	_	_
4	n't	not	PART	RB	_	5	advmod	_	_
5	know	know	VERB	VB	_	0	root	_	SpaceAfter=No
6	...	...	PUNCT	:	_	5	punct	_	SpaceAfter=No
7	"	"	PUNCT	''	_	5	punct	_	_

# sent_id = 2
1	Go	go	VERB	VB	_	0	root	_	SpaceAfter=No
2	!	!	PUNCT	_	_	1	punct	_	_
"""
FRENCH = """\
# text = Il parle du chat.
1	Il	il	PRON	_	_	2	nsubj	_	_
2	parle	parler	VERB	_	_	0	root	_	_
2.1	parle	parler	VERB	_	_	_	_	2:conj	_
3-4	du	_	_	_	_	_	_	_	_
3	de	de	ADP	_	_	5	case	_	_
4	le	le	DET	_	_	5	det	_	_
5	chat	chat	NOUN	_	_	2	obl:arg	_	SpaceAfter=No
6	.	.	PUNCT	_	_	2	punct	_	_
"""


@pytest.fixture
def read(tmp_path):
    def read(written, name="small.conllu"):
        (tmp_path / name).write_bytes(written if isinstance(written, bytes) else written.encode())
        return list(read_conllu(tmp_path / name))

    return read


def parts(sentence):
    return [sentence.text[start:end] for start, end in sentence.words]


def test_words_stand_where_their_forms_are(read):
    first, second = read(ENGLISH)
    assert first.text == '"I don\'t know..."'
    assert parts(first) == list(first.forms) == ['"', "I", "do", "n't", "know", "...", '"']
    assert first.words[2:4] == ((3, 5), (5, 8))
    assert first.heads == (4, 4, 4, 4, -1, 4, 4)
    assert first.relations == ("punct", "nsubj", "aux", "advmod", "root", "punct", "punct")
    assert first.upos[1:3] == ("PRON", "AUX")
    assert first.xpos[1:3] == ("PRP", "VBP")
    assert second == Sentence(
        "Go!", ((0, 2), (2, 3)), ("Go", "!"), ("VERB", "PUNCT"), ("VB", "_"), (-1, 0), ("root", "punct")
    )


def test_words_that_do_not_make_up_their_surface_token_share_its_range(read):
    (sentence,) = read(FRENCH)
    assert parts(sentence) == ["Il", "parle", "du", "du", "chat", "."]
    assert sentence.forms[2:4] == ("de", "le")
    assert sentence.heads == (1, -1, 4, 4, 1, 1)
    assert sentence.relations[4] == "obl:arg"


@pytest.mark.parametrize("written", ["Il parle du chien.", "Il parle du chat. Oui", "Il parl e du chat."])
def test_a_text_that_does_not_agree_with_the_words_is_not_used(read, written):
    (sentence,) = read(FRENCH.replace("Il parle du chat.", written))
    assert sentence.text == "Il parle du chat."
    assert parts(sentence)[-2:] == ["chat", "."]


def test_the_text_decides_on_white_space(read):
    (sentence,) = read(FRENCH.replace("Il parle du chat.", "Il\u00a0parle  du chat ."))
    assert sentence.text == "Il\u00a0parle  du chat ."
    assert parts(sentence) == ["Il", "parle", "du", "du", "chat", "."]


def test_a_form_with_a_space_in_it(read):
    (sentence,) = read("1\t10 000\t_\tNUM\t_\t_\t2\tnummod\t_\t_\n2\teuros\t_\tNOUN\t_\t_\t0\troot\t_\t_\n")
    assert parts(sentence) == ["10 000", "euros"]


def test_what_was_read_equals_what_the_library_says(read):
    lists = conllu.parse(ENGLISH + "\n" + FRENCH)
    for sentence, lines in zip(read(ENGLISH + "\n" + FRENCH), lists, strict=True):
        words = [line for line in lines if isinstance(line["id"], int)]
        assert list(sentence.forms) == [word["form"] for word in words]
        assert list(sentence.heads) == [word["head"] - 1 for word in words]
        assert list(sentence.relations) == [word["deprel"] for word in words]
        assert list(sentence.upos) == [word["upos"] for word in words]


def test_line_ends_packing_and_what_holds_no_words(read, tmp_path):
    expected = read(ENGLISH)
    assert read(ENGLISH.replace("\n", "\r\n")) == expected
    assert read("\ufeff# newdoc\n\n\n" + ENGLISH + "\n\n\n") == expected
    assert read(gzip.compress(ENGLISH.encode()), "small.conllu.gz") == expected
    assert read("") == []


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ENGLISH.encode())))
    assert [sentence.text for sentence in read_conllu("-")] == ['"I don\'t know..."', "Go!"]


def test_sentences_without_trees(read):
    (sentence,) = read("1\tGo\tgo\tVERB\tVB\t_\t_\t_\t_\t_\n2\tnow\tnow\tADV\tRB\t_\t_\t_\t_\t_\n")
    assert sentence.heads == (-1, -1)
    assert sentence.relations == ("_", "_")


def test_the_first_sentences_come_before_the_rest_is_read(tmp_path):
    path = tmp_path / "broken.conllu"
    path.write_text(ENGLISH + "\nnonsense\n")
    sentences = read_conllu(path)
    assert next(sentences).forms[1] == "I"
    assert next(sentences).forms == ("Go", "!")
    with pytest.raises(InputError, match=r"broken.conllu is not CoNLL-U, in the sentence at line 16: "):
        next(sentences)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("1\tGo\tgo\tVERB\tVB\t_\tx\troot\t_\t_", "line 1: .*'head'.*'x'"),
        ("1\tGo\tgo\tVERB\tVB\t_\t3\troot\t_\t_", "the head of word 1, 'Go', is 3; the others are 1 to 1"),
        ("1\tGo\tgo\tVERB\tVB\t_\t1\troot\t_\t_", "the head of word 1, 'Go', is 1"),
        ("1\tGo\tgo\tVERB\tVB\t_\t-1\troot\t_\t_", "the head of word 1, 'Go', is -1"),
        ("2\tGo\tgo\tVERB\tVB\t_\t0\troot\t_\t_", "word 'Go' has the id 2, where 1 comes next"),
        ("_\tGo\tgo\tVERB\tVB\t_\t0\troot\t_\t_", "word 'Go' has the id None, where 1 comes next"),
        ("1\t\tgo\tVERB\tVB\t_\t0\troot\t_\t_", "word 1 has no form"),
        ("1\tGo\tgo\tVERB", "the line of 'Go' ends before its column xpos"),
        ("\n\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tde\t_\tADP\t_\t_\t0\troot\t_\t_", "line 3: the token 1-2 "),
        ("Then I tried.", "line must contain"),
        (b"1\tG\xff\n", "small.conllu is not UTF-8: byte 0xFF"),
    ],
)
def test_broken_files(read, written, message):
    with pytest.raises(InputError, match=message):
        read(written)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"nope.conllu cannot be read: No such file"):
        next(read_conllu(tmp_path / "nope.conllu"))


def test_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "conllu", None)
    with pytest.raises(MissingExtraError, match=r"needs conllu, which is not.*pip install conllu$"):
        next(read_conllu(tmp_path / "any.conllu"))


@pytest.mark.slow
def test_a_treebank_of_any_size_takes_little_memory(tmp_path):
    path = tmp_path / "large.conllu"
    path.write_text((ENGLISH + "\n") * 20_000)
    script = (
        "import resource, sys\n"
        "from layerscope.corpus.conllu import read_conllu\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "sentences = read_conllu(sys.argv[1])\n"
        "next(sentences)\n"
        "before = peak()\n"
        "print(sum(1 for _ in sentences), peak() - before)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    count, grown = map(int, ended.stdout.split())
    assert count == 40_000 - 1
    assert grown < path.stat().st_size / 3
