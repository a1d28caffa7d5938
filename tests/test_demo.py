import os
import stat

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from layerscope import samples
from layerscope.demo import demo
from layerscope.errors import InputError
from layerscope.writing import write_whole


def test_what_is_written_is_what_was_computed(model, tmp_path):
    written = demo(model, tmp_path / "demo")
    assert {path.name for path in written} == {path.name for path in (tmp_path / "demo").iterdir()}
    features = pq.read_table(tmp_path / "demo" / "features.parquet").to_pandas()
    assert list(features["text"]) == samples.texts()
    expected = model.run(features["text"][7]).pool("mean")
    np.testing.assert_allclose(features["mean_6"][7], expected, atol=1e-5)
    assert len(features["mean_3to6_concat"][0]) == 4 * 384
    tokens = pd.read_csv(tmp_path / "demo" / "tokens.csv")
    assert tokens["id"].tolist()[:3] == [101, 2059, 1045]
    senses = pd.read_csv(tmp_path / "demo" / "senses.csv", index_col=0)
    np.testing.assert_allclose(np.diag(senses), 1, atol=1e-5)
    assert (tmp_path / "demo" / "similarity.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_time_is_the_same(model, tmp_path):
    first = {path.name: path.read_bytes() for path in demo(model, tmp_path) if path.suffix == ".csv"}
    assert first == {path.name: path.read_bytes() for path in demo(model, tmp_path) if path.suffix == ".csv"}


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    (tmp_path / "a.csv").write_text("before")

    def fail(to):
        to.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="a.csv cannot be written: No space left on device"):
        write_whole(tmp_path / "a.csv", fail)
    assert (tmp_path / "a.csv").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_folder_that_cannot_be_made(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        demo(model, tmp_path / "file" / "demo")
    assert stat.S_ISREG(os.stat(tmp_path / "file").st_mode)
