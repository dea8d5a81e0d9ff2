"""Tables whose columns, rows or cells may be taken for what they are not."""

import pytest

from lcpfn.io import SkippedWarning
from tests.io.test_tables import curve


@pytest.mark.parametrize("header", ["step,lr", "it,rate", "Step,Rate,Note", "step,a,b"])
def test_a_header_may_share_no_name_with_the_first(tmp_path, header):
    rows = "3,.001\n4,.001\n" if header.count(",") == 1 else "3,.001,1\n4,.001,1\n"
    text = f"epoch,val_acc\n1,.5\n2,.6\n{header}\n{rows}"
    with pytest.warns(SkippedWarning, match="there is no 'val_acc' from line 4 on"):
        found = curve(tmp_path, text, metric="val_acc", mode="max")
    assert found == ([1, 2], [0.5, 0.6])


@pytest.mark.parametrize("line", ["saved checkpoint", "end of step", "epoch ended now"])
def test_messages_between_rows_are_no_headers(tmp_path, line):
    with pytest.warns(SkippedWarning, match="skipped 1 line: line 3"):
        found = curve(tmp_path, f"epoch loss\n1 .5\n{line}\n2 .4\n")
    assert found == ([1, 2], [0.5, 0.4])


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;"])
def test_the_delimiter_may_be_declared(tmp_path, line):
    found = curve(tmp_path, f"{line}\nepoch;val_loss\n1;2,5\n2;2,25\n")
    assert found == ([1, 2], [2.5, 2.25])
