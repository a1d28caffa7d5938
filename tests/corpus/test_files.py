"""Corpora in files: which are found, and what is in them."""

import bz2
import gzip
import lzma
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.corpus import lines
from layerscope.corpus.corpus import open_corpus
from layerscope.corpus.files import Files
from layerscope.errors import InputError

TABLE = pa.table({"text": [f"text {n}" for n in range(10)], "n": range(10)})


def read(source, size=2, start=0, **options):
    """Texts, pairs and kept columns of a corpus."""
    chunks = list(open_corpus(source, **options).chunks(size, start))
    texts = [text for chunk in chunks for text in chunk.texts]
    pairs = [pair for chunk in chunks for pair in chunk.pairs or []]
    return texts, pairs, [row for chunk in chunks for row in chunk.kept.to_pylist()]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_lines_end_at_newlines_only(tmp_path):
    path = write(tmp_path / "a.txt", "\ufeffone\r\ntwo\rthree\n\n x\u2028y\x0bz \nend")
    assert read(path)[0] == ["one", "two", "three", "", " x\u2028y\x0bz ", "end"]
    assert read(str(path), id="line", keep=["file"])[2][4] == {"line": 5, "file": "a.txt"}
    assert read(write(path, ""))[0] == []
    assert read(write(path, "\n"))[0] == [""]
    assert read(write(path, "\r"))[0] == [""]


@given(text=st.text(alphabet="ab\r\né ", max_size=30), block=st.integers(1, 7))
def test_blocks_of_bytes_do_not_show(tmp_path_factory, text, block):
    path = write(tmp_path_factory.mktemp("blocks") / "a.txt", text)
    expected = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        assert read(path)[0] == (expected[:-1] if not expected[-1] else expected)
        assert read(path, segment="document")[0] == [text]


def test_paragraphs_and_documents(tmp_path):
    path = write(tmp_path / "a.md", "\n\none\ntwo\n \t\n\nthree\n")
    assert read(path, segment="paragraph", keep=["line"]) == (
        ["one\ntwo", "three"],
        [],
        [{"line": 3}, {"line": 7}],
    )
    assert read(path, segment="document", keep=["line"])[1:] == ([], [{"line": 1}])
    write(tmp_path / "sub" / "b.txt", "b")
    assert read(tmp_path, segment="document", keep=["file"])[2] == [{"file": "a.md"}, {"file": "sub/b.txt"}]


def test_bytes_that_are_not_utf8(tmp_path):
    path = write(tmp_path / "a.txt", b"good\r\ncaf\xe9\n")
    with pytest.raises(
        InputError, match="a.txt is not UTF-8: byte 0xE9 at position 9, in line 2; convert the file"
    ):
        read(path)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, "zstd"])
def test_packed_files(tmp_path, pack):
    if pack == "zstd":
        stored = pa.compress(b'text\none\n"t\nwo"\n', codec="zstd", asbytes=True)
    else:
        stored = pack(b'text\none\n"t\nwo"\n')
    suffix = {"compress": ".gz"}.get(pack, "") if isinstance(pack, str) else ""
    suffix = (
        suffix or {gzip.compress: ".gz", bz2.compress: ".bz2", lzma.compress: ".xz", "zstd": ".zst"}[pack]
    )
    path = write(tmp_path / f"a.CSV{suffix}", stored)
    assert read(path)[0] == ["one", "t\nwo"]
    write(path, b"text\none\n")
    with pytest.raises(InputError, match=f"a.CSV{suffix} cannot be read: "):
        read(path)
    write(path, stored[: len(stored) // 2])
    with pytest.raises(InputError, match=f"a.CSV{suffix} "):
        read(path)


def test_csv_values_are_as_written(tmp_path):
    long = "x" * 200_000
    path = write(tmp_path / "a.csv", f'\ufefftext,n\r\n"a ""q"", b\r\nc",007\n\n,\n{long},NA\n')
    texts, _, kept = read(path, keep=["n"], text="text")
    assert texts == ['a "q", b\r\nc', "", long]
    assert kept == [{"n": "007"}, {"n": ""}, {"n": "NA"}]
    assert read(path, start=2, keep=["n"], text="text")[2] == [{"n": "NA"}]
    assert open_corpus(path, text="text").count is None
    tsv = write(tmp_path / "a.tsv", 'text\tn\na,b\t1\n"c\td"\t2\n')
    assert read(tsv, text="text")[0] == ["a,b", "c\td"]
    assert read(write(tmp_path / "one.csv", "text\na\n\nb\n"))[0] == ["a", "", "b"]
    assert read(write(tmp_path / "none.csv", "text,n\n"), text="n")[0] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('text,n\n"a\nb",1\nc\n', "bad.csv, line 4: 1 fields, but the header has 2"),
        ("text,n\na,b,c\n", "bad.csv, line 2: 3 fields, but the header has 2"),
        ('text,n\na,1\n"b"x,2\n', "bad.csv, line 3: its quotes do not match"),
        ('text,n\na,1\n"b,2\nc,3\n', "bad.csv, line 3: its quotes do not match"),
        ("", "bad.csv is empty; its first line is to name the columns"),
        (b"text,n\n\xff,1\n", "bad.csv is not UTF-8: byte 0xFF at position 7, in line 2"),
    ],
)
def test_broken_csv(tmp_path, content, message):
    path = write(tmp_path / "bad.csv", content)
    with pytest.raises(InputError, match=message):
        read(path, text="text")


def test_files_of_other_columns(tmp_path):
    write(tmp_path / "a.csv", "text,n\na,1\n")
    write(tmp_path / "b.csv", "n,text\n1,a\n")
    with pytest.raises(
        InputError, match="b.csv has the columns n, text, but a.csv has text, n; files that are"
    ):
        open_corpus(tmp_path, text="text")
    pq.write_table(TABLE, tmp_path / "a.parquet")
    pq.write_table(TABLE.set_column(1, "n", pa.array(map(str, range(10)))), tmp_path / "b.parquet")
    pq.write_table(TABLE.select(["text"]), tmp_path / "c.parquet")
    both = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    with pytest.raises(InputError, match="Column 'n' is string in b.parquet, but int64 in a.parquet"):
        open_corpus(both, text="text", keep=["n"])
    with pytest.raises(InputError, match="c.parquet has no column 'n', which a.parquet has"):
        open_corpus([both[0], tmp_path / "c.parquet"], text="text", keep=["n"])
    assert open_corpus(str(tmp_path / "*.parquet"), text="text").count == 30


def test_json(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a", "n": 1}\r\n\n{"n": 2}\n"\\u2028c\u2028"\n')
    assert read(path, keep=["n"], text="text") == (
        ["a", None, "\u2028c\u2028"],
        [],
        [{"n": 1}, {"n": 2}, {"n": None}],
    )
    assert read(write(tmp_path / "b.ndjson", '"a"\n"b"'))[0] == ["a", "b"]
    assert read(write(tmp_path / "c.json", '["a", null,\n"b"]'))[0] == ["a", None, "b"]
    assert read(write(tmp_path / "d.json", '[{"x": "a"}, {"x": "b"}]'), start=1)[0] == ["b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '"a"\n{"x": \n', "a.jsonl, line 2 is no JSON .Expecting value.; each line is one object"),
        ("a.jsonl", "[" * 200_000, "a.jsonl, line 1 is no JSON"),
        (
            "a.json",
            '{"a": 1}\n{"a": 2}',
            "a.json, line 2 is no JSON .Extra data.; if each line .* name the file .jsonl",
        ),
        ("a.json", '{"a": 1}', "a.json holds one object; a JSON file holds a list"),
        ("a.parquet", "PAR1 no", "a.parquet is no Parquet file, or a broken one: "),
        ("a.parquet", "", "a.parquet is no Parquet file, or a broken one: "),
        ("a.arrow", "something else", r"a.arrow is no Arrow \(IPC\) file, or a broken one: "),
        (
            "a.parquet.gz",
            b"",
            "a.parquet.gz is packed as a whole, and Parquet is read from its end; unpack it",
        ),
        ("a.doc", "", r"a.doc is of no kind that is known by its suffix; known: .txt, .* also with .gz"),
    ],
)
def test_broken_files(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(InputError, match=message):
        read(path)


def test_parquet_skips_row_groups(tmp_path, monkeypatch):
    for name in ("a", "b"):
        pq.write_table(
            TABLE.append_column("big", TABLE["text"]), tmp_path / f"{name}.parquet", row_group_size=3
        )
    asked = []
    iter_batches = pq.ParquetFile.iter_batches

    def watched(self, *args, row_groups, columns):
        asked.append((row_groups, columns))
        return iter_batches(self, *args, row_groups=row_groups, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    corpus = open_corpus(tmp_path, text="text", keep=["n"])
    assert (corpus.count, corpus.name) == (20, "2 files: a.parquet, b.parquet")
    chunks = list(corpus.chunks(4, start=7))
    assert [n for chunk in chunks for n in chunk.kept["n"].to_pylist()] == [7, 8, 9, *range(10)]
    assert asked == [([2, 3], ["text", "n"]), ([0, 1, 2, 3], ["text", "n"])]
    asked.clear()
    assert [chunk.texts for chunk in corpus.chunks(4, start=19)] == [["text 9"]]
    assert asked == [([3], ["text", "n"])]
    assert list(corpus.chunks(4, start=20)) == []


def test_arrow_files_and_streams(tmp_path):
    feather.write_feather(TABLE, tmp_path / "a.feather")
    with pa.OSFile(str(tmp_path / "b.arrow"), "wb") as sink, pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=3)
    for start in (0, 4, 13):
        _, _, kept = read(tmp_path, text="text", keep=["n"], start=start, size=4)
        assert [row["n"] for row in kept] == [*range(10), *range(10)][start:]


def test_folders_globs_and_names(tmp_path, monkeypatch):
    for name in ("b.txt", "a/z.txt", "a.txt", ".hidden.txt", ".git/x.txt", "a/notes.doc", "[x].txt"):
        write(tmp_path / "data" / name, name)
    found = ["[x].txt", "a/z.txt", "a.txt", "b.txt"]
    assert read(tmp_path / "data")[0] == sorted(found, key=lambda name: name.split("/"))
    monkeypatch.chdir(tmp_path)
    assert read("data/*.txt")[0] == ["[x].txt", "a.txt", "b.txt"]
    assert sorted(read("data/**/*.txt")[0]) == sorted(found)
    assert read("data/[x].txt")[0] == ["[x].txt"]
    assert read("data/[ab].txt")[0] == ["a.txt", "b.txt"]
    assert open_corpus([Path("data/b.txt"), Path("data/a/z.txt")]).name == "2 files: b.txt, a/z.txt"
    assert open_corpus("data/**/*.txt").name == "4 files: [x].txt, a/z.txt, …"
    assert open_corpus(tmp_path / "data" / "b.txt").name == "b.txt"
    assert read(Files(("data/b.txt", "data/a.txt")))[0] == ["b.txt", "a.txt"]
    write(tmp_path / "data" / "c.csv", "text\n")
    with pytest.raises(
        InputError, match=r"'data': files of several kinds, csv, text; give those of one kind.*'\*.csv'"
    ):
        open_corpus("data")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "nothing.csv",
            r"There is no file 'nothing.csv'; a single text goes into a list, e.g. \['nothing.csv'\]",
        ),
        ("What? No *file*.", "No file matches 'What. No .*; a single text goes into a list"),
        ("x" * 9999, "There is no file 'xxx.*x\\.\\.\\.; a single text"),
        ("nul\0", "There is no file"),
        ("", "There is no file ''; a single text"),
        (Path("nothing.csv"), r"There is no file 'nothing.csv'\.$"),
        (Path("*.none"), r"No file matches '\*.none'\.$"),
        ([Path("a.csv"), "text"], "A list of files is of Paths alone; strings in a list are texts"),
        (Files(()), "No file was named"),
        (Files(("-", "a.csv")), "Standard input '-' is read alone"),
        (".", r"The folder '.' holds no file of a kind that is known: .txt"),
        ("none://x/y.csv", "'none://x/y.csv' cannot be reached: "),
        ("memory://nowhere/y.csv", r"There is no file 'memory://nowhere/y.csv'\.$"),
        ("memory://nowhere/*.csv", r"No file matches 'memory://nowhere/\*.csv'\.$"),
    ],
)
def test_files_that_are_not_there(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        open_corpus(source)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.csv", "text\na\n")
    path.chmod(0)
    if os.access(path, os.R_OK):  # as root

        def refuse(*args):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("layerscope.corpus.files.open", refuse, raising=False)
    with pytest.raises(InputError, match=r"a.csv may not be read: permission denied\."):
        open_corpus(path)


def test_addresses(tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe({"/shelf/a.csv": b"text\na\n", "/shelf/b.csv": b"text\nb\n", "/shelf/.c.csv": b"text\nc\n"})
    with memory.open("/table/a.parquet", "wb") as sink:
        pq.write_table(TABLE, sink)
    try:
        assert read("memory://shelf/a.csv")[0] == ["a"]
        assert read("memory://shelf/*.csv")[0] == read("memory://shelf")[0] == ["a", "b"]
        assert open_corpus("memory://shelf").name == "2 files: a.csv, b.csv"
        assert read("memory://table/a.parquet", text="text", start=8)[0] == ["text 8", "text 9"]
        local = write(tmp_path / "d.csv", "text\nd\n")
        assert read(local.as_uri())[0] == ["d"]
        mixed = open_corpus(Files((str(local), "memory://shelf/b.csv")))
        assert mixed.name == "2 files: d.csv, b.csv"
        assert [chunk.texts for chunk in mixed.chunks(1)] == [["d"], ["b"]]
    finally:
        memory.rm("/shelf", recursive=True)
        memory.rm("/table", recursive=True)


@pytest.mark.parametrize(
    ("given_", "options", "texts"),
    [
        ("one\n\ntwo\n", "", "['one', '', 'two']"),
        ('{"x": "a"}\n{"x": "é"}\n', "text='x'", "['a', 'é']"),
        ("", "", "[]"),
    ],
)
def test_standard_input(given_, options, texts):
    code = f"""
from layerscope.corpus.corpus import open_corpus
corpus = open_corpus("-", {options})
print([text for rows in corpus.chunks(2) for text in rows.texts], corpus.name)
try: corpus.chunks(2)
except ValueError as error: print(error)
"""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], input=given_.encode(), capture_output=True, check=True
    )
    assert done.stdout.decode().splitlines() == [
        f"{texts} standard input",
        "This corpus, standard input, can be read only once, and was; give a list or a file to read it again.",
    ]


def test_parquet_and_documents_are_read_from_any_row_on_by_whoever_has_the_corpus(tmp_path):
    """As another process has it: sent, without having been read."""
    cloudpickle = pytest.importorskip("ray.cloudpickle")
    for number in range(12):
        write(tmp_path / f"texts/{number:02d}.txt", f"text {number}")
    for number, rows in enumerate((5, 0, 7)):
        start = sum((5, 0, 7)[:number])
        pq.write_table(
            TABLE.slice(0, 0) if not rows else _texts(start, rows), tmp_path / f"{number}.parquet", 3
        )
    for source, options in (
        (tmp_path / "texts", {"segment": "document"}),
        ([tmp_path / f"{number}.parquet" for number in range(3)], {"text": "text"}),
    ):
        corpus = open_corpus(source, **options)
        assert (corpus.is_seekable, corpus.count) == (True, 12)
        sent = cloudpickle.loads(cloudpickle.dumps(corpus))
        for start in range(13):
            texts = [text for rows in sent.chunks(4, start) for text in rows.texts]
            assert texts == [f"text {number}" for number in range(start, 12)]
        assert open_corpus(source, **options, limit=5).is_seekable
        assert not open_corpus(source, **options, sample=5).is_seekable


def _texts(start, rows):
    return pa.table(
        {"text": [f"text {n}" for n in range(start, start + rows)], "n": range(start, start + rows)}
    )


def test_what_is_read_in_order_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("layerscope.corpus.columnar._SEEKABLE", 6)
    pq.write_table(_texts(0, 10), tmp_path / "large groups.parquet", row_group_size=7)
    write(tmp_path / "a.txt", "one\ntwo")
    write(tmp_path / "a.jsonl", '{"text": "one"}\n')
    for source in (tmp_path / "large groups.parquet", tmp_path / "a.txt", tmp_path / "a.jsonl", ["a"], TABLE):
        assert not open_corpus(source, **({"text": "text"} if source is TABLE else {})).is_seekable
