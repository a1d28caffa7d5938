"""Files that are not what their names say, and folders that hold more than the corpus."""

import gzip
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import layerscope as ls
from layerscope.corpus.corpus import open_corpus
from layerscope.corpus.files import Files
from layerscope.errors import InputError, MissingRowsWarning


def texts(*names, **options):
    corpus = open_corpus(Files(tuple(map(str, names))), **options)
    return [text for rows in corpus.chunks(64) for text in rows.texts]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.csv", b"text;label\nhello there;pos\n", "separated by semicolons. Separate them by commas"),
        ("a.csv", b"text\tlabel\nhello\tpos\nbye\tneg\n", "separated by tabs"),
        ("a.csv", b"text|label\nhello|pos\n", "separated by bars"),
        ("a.tsv", b"text,label\nhello,pos\n", "separated by commas. Separate them by tabs"),
        ("a.csv", b"sep=;\ntext;label\nhello;pos\n", "first line of a.csv is 'sep=;'"),
        ("a.csv", b"\ntext,label\nhello,pos\n", "The first line of a.csv is empty"),
        ("a.txt", "hello\nbye\n".encode("utf-16-le"), "as in UTF-16"),
        ("a.csv", "text,label\nhello,pos\n".encode("utf-16-be"), "as in UTF-16"),
        ("a.txt", "hello\n".encode("utf-32-le"), "as in UTF-16"),
        ("a.csv", gzip.compress(b"text\nhello\n", mtime=0), "by its first bytes it is gzip"),
        ("a.jsonl", b"PK\x03\x04....", "by its first bytes it is zip"),
        ("a.txt", b"PAR1....PAR1", "by its first bytes it is Parquet"),
        ("a.txt.gz", b"", "a.txt.gz is empty, and no .gz file"),
        ("a.jsonl.zst", b"", "a.jsonl.zst is empty, and no .zst file"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(name, data, says, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=says):
        texts(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("a.csv", b"text\nhello; there\nbye\n", ["hello; there", "bye"]),
        ("a.tsv", b"text\nhello, you\nbye, you\n", ["hello, you", "bye, you"]),
        ("a.txt", b"a\x00b\nhello there\n", ["a\x00b", "hello there"]),
    ],
)
def test_texts_with_such_signs_are_texts(name, data, found, tmp_path):
    (tmp_path / name).write_bytes(data)
    assert texts(tmp_path / name) == found


def test_links_are_followed_and_each_folder_is_read_once(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.txt").write_text("x\n")
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("a\n")
    (source / "linked").symlink_to(tmp_path / "real")
    (source / "loop").symlink_to(source)
    assert texts(source) == ["a", "x"]
    assert sorted(texts(f"{source}/**/*.txt")) == ["a", "x"]


def test_what_other_programs_leave_behind_is_no_data(tmp_path):
    for name in ("part.txt", "_temporary/0/part.txt", "_SUCCESS.txt", ".hidden/part.txt", "inner/part.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n")
    assert texts(tmp_path) == ["inner/part.txt", "part.txt"]
    assert sorted(texts(f"{tmp_path}/**/*.txt")) == ["inner/part.txt", "part.txt"]


def test_an_output_folder_inside_the_source_is_not_read(tiny, tmp_path):
    (tmp_path / "a.txt").write_text("a\nb\n")
    for _ in range(2):
        features = ls.extract(tiny("bert"), Files((str(tmp_path),)), tmp_path / "out", ["mean@-1"])
        assert len(features) == 2
    ls.extract(tiny("bert"), ["one", "two"], tmp_path / "deep" / "out", ["mean@-1"])
    with pytest.raises(InputError, match="No file matches"):
        texts(f"{tmp_path}/**/*.parquet")


def test_a_name_that_is_no_utf8_is_shown_with_escapes(tiny, tmp_path):
    (tmp_path / "d").mkdir()
    with open(os.fsencode(tmp_path / "d") + b"/caf\xe9.txt", "w") as file:
        file.write("hello\n")
    made = ls.extract(
        tiny("bert"), Files((str(tmp_path / "d"),)), tmp_path / "out", ["mean@-1"], keep=["file"]
    )
    assert made.to_pandas()["file"].tolist() == ["caf\\udce9.txt"]


@pytest.mark.slow
def test_closed_standard_input_is_a_sentence(tiny_folder, tmp_path):
    command = f"{sys.executable} -m layerscope.cli extract - -o {tmp_path}/out -m {tiny_folder('bert')} <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Standard input is closed" in done.stderr


@pytest.mark.slow
def test_with_closed_standard_output_all_is_written(tiny_folder, tmp_path):
    (tmp_path / "a.txt").write_text("a\n")
    words = f"extract {tmp_path}/a.txt -o {tmp_path}/out -m {tiny_folder('bert')}"
    command = f"{sys.executable} -m layerscope.cli {words} >&-"
    assert subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True).returncode == 0
    assert len(ls.open_features(tmp_path / "out")) == 1


def test_objects_without_a_field_are_refused_before_the_pass(tiny, tmp_path):
    for value in ({}, [{"a": {}}], {"b": {"c": {}}}):
        with pytest.raises(InputError, match="'meta' cannot be kept: it holds objects without a field"):
            ls.extract(
                tiny("bert"), [{"text": "a", "meta": value}], tmp_path / "out", text="text", keep=["meta"]
            )


def test_a_stream_without_the_mark_of_its_end_may_have_been_cut(tmp_path):
    table = pa.table({"text": ["a", "b", "c"]})
    with (
        pa.OSFile(str(tmp_path / "whole.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as writer,
    ):
        writer.write_table(table)
        end = file.tell()
        writer.write_table(table)
    assert texts(tmp_path / "whole.arrow") == ["a", "b", "c"] * 2
    (tmp_path / "cut.arrow").write_bytes((tmp_path / "whole.arrow").read_bytes()[:end])
    with pytest.warns(MissingRowsWarning, match=r"cut\.arrow ends without the mark of an Arrow stream's end"):
        assert texts(tmp_path / "cut.arrow") == ["a", "b", "c"]


def test_an_iterator_that_was_used_up_is_told(tiny, tmp_path):
    used = iter(["a", "b"])
    list(used)
    with pytest.warns(MissingRowsWarning, match="No rows: a list_iterator can be read only once"):
        features = ls.extract(tiny("bert"), used, tmp_path / "out", progress=False)
    assert len(features) == 0
    assert len(ls.extract(tiny("bert"), [], tmp_path / "none", progress=False)) == 0


def test_what_stands_in_the_names_of_folders_is_no_column(tmp_path):
    for label in ("neg", "pos"):
        (tmp_path / f"label={label}").mkdir()
        (tmp_path / f"label={label}" / "part-0.csv").write_text(f"text\nthis is {label}\n")
    assert texts(tmp_path) == ["this is neg", "this is pos"]
    for source in (tmp_path, tmp_path / "label=pos"):
        with pytest.raises(
            InputError, match=r"'label' is no column of .* stands in the names of folders \(label="
        ):
            texts(source, text="text", keep=["label"])


@pytest.mark.parametrize("content", ['{"text": "a"}', '{"text": "a"}\n{"text": "b"}\n'])
def test_lines_of_objects_under_another_name(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"name the file \.jsonl"):
        texts(tmp_path / "a.json")


def test_a_broken_page_is_told_in_one_line(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"hello {n}" for n in range(1000)]}), path, use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[4:40] = b"\xff" * 36
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"^a\.parquet cannot be read: .*\.$") as error:
        texts(path)
    assert "\n" not in str(error.value)
