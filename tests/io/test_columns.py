"""Tables whose columns, rows or cells may be taken for what they are not."""

import pytest

from lcpfn.io import SkippedWarning
from tests.io.test_tables import curve, read


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


def test_the_rule_of_a_markdown_table_is_no_row(tmp_path, recwarn):
    found = curve(tmp_path, "| epoch | loss |\n|---|:---:|\n| 1 | .5 |\n| 2 | .4 |\n")
    assert found == ([1, 2], [0.5, 0.4])
    assert not recwarn


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;"])
def test_the_delimiter_may_be_declared(tmp_path, line):
    found = curve(tmp_path, f"{line}\nepoch;val_loss\n1;2,5\n2;2,25\n")
    assert found == ([1, 2], [2.5, 2.25])


# Runs


def runs_of(tmp_path, text, **options):
    found = read(tmp_path, text, **options)
    return {run.name: (run.steps.tolist(), run.values.tolist()) for run in found}


@pytest.mark.parametrize(
    ("columns", "names", "parts"),
    [
        ("model", "a b", "a b"),
        ("experiment", "x y", "x y"),
        ("seed", "0 1", "seed 0|seed 1"),
        ("fold", "0 1", "fold 0|fold 1"),
        ("cv", "one two", "one two"),
        ("run,seed", "r,0 r,1", "r, seed 0|r, seed 1"),
        ("model,lr_schedule,note", "a,cosine,x b,step,x", "a, cosine|b, step"),
    ],
)
def test_runs_that_no_column_of_runs_tells_apart(tmp_path, columns, names, parts):
    rows = [
        f"{name},{epoch},{value}\n"
        for name, values in zip(names.split(), ([3, 2, 1], [6, 5]), strict=True)
        for epoch, value in enumerate(values, 1)
    ]
    found = runs_of(tmp_path, f"{columns},epoch,val_loss\n" + "".join(rows))
    first, second = parts.split("|") if "|" in parts else parts.split()
    assert found == {first: ([1, 2, 3], [3, 2, 1]), second: ([1, 2], [6, 5])}


def test_a_run_that_goes_on_elsewhere_is_one_run(tmp_path):
    text = "host,epoch,loss\nx,1,5\nx,2,4\nx,3,3\nx,4,2\ny,3,9\ny,4,8\n"
    with pytest.warns(SkippedWarning, match="skipped 2 observations .* back .to 3"):
        assert runs_of(tmp_path, text) == {"run": ([1, 2, 3, 4], [5, 4, 9, 8])}


def test_what_a_restart_drops_is_named(tmp_path):
    text = "run,epoch,loss\na,1,5\na,2,4\na,1,3\nb,1,5\nb,2,5\nb,2,5\nb,3,4\n"
    with pytest.warns(SkippedWarning, match=r"skipped 2 .* went back \('a' to 1\)"):
        found = runs_of(tmp_path, text)
    assert found == {"a": ([1], [3]), "b": ([1, 2, 3], [5, 5, 4])}


@pytest.mark.parametrize("column", ["flavour", "fold_of"])
@pytest.mark.parametrize("by_turns", [True, False])
def test_rows_that_take_turns_are_not_guessed_about(tmp_path, column, by_turns):
    kinds = ["train", "val"]
    rows = [(e, k, e + 10 * i) for e in (1, 2, 3) for i, k in enumerate(kinds)]
    if not by_turns:
        rows.sort(key=lambda row: row[1])
    text = f"epoch,{column},loss\n" + "".join(f"{e},{k},{v}\n" for e, k, v in rows)
    with pytest.raises(ValueError, match=f"differ by '{column}'.*--metric. train/loss"):
        read(tmp_path, text)
    assert curve(tmp_path, text, metric="val/loss") == ([1, 2, 3], [11, 12, 13])


@pytest.mark.parametrize("column", ["seed", "model"])
def test_names_of_runs_may_take_turns(tmp_path, column):
    text = f"{column},epoch,loss\n7,1,5\n8,1,9\n7,2,4\n8,2,8\n"
    assert [*runs_of(tmp_path, text).values()] == [([1, 2], [5, 4]), ([1, 2], [9, 8])]


@pytest.mark.parametrize("order", ["mse", "ems", "mes"])
def test_a_grid_of_models_and_seeds(tmp_path, order):
    keys = {"m": lambda r: r[0], "s": lambda r: r[1], "e": lambda r: r[2]}
    rows = [(m, s, e) for m in "ab" for s in (0, 1) for e in (1, 2, 3)]
    rows.sort(key=lambda row: [keys[k](row) for k in order])
    text = "".join(f"{m},{s},{e},{e * (s + 1)}\n" for m, s, e in rows)
    found = runs_of(tmp_path, "model,seed,epoch,loss\n" + text)
    assert set(found) == {f"{m}, seed {s}" for m in "ab" for s in (0, 1)}
    assert found["b, seed 1"] == ([1, 2, 3], [2, 4, 6])


# Kinds of rows


@pytest.mark.parametrize(
    ("column", "kinds", "metric"),
    [
        ("type", "train val", "val/loss"),
        ("stage", "fit validate", "validate/loss"),
        ("is_train", "1 0", "is_train=0/loss"),
        ("is_val", "false true", "is_val=true/loss"),
    ],
)
def test_more_names_of_splits(tmp_path, column, kinds, metric):
    train, val = kinds.split()
    text = f"epoch,{column},loss\n1,{train},3\n1,{val},4\n2,{train},2\n2,{val},3\n"
    with pytest.raises(ValueError, match=metric):
        read(tmp_path, text)
    assert curve(tmp_path, text, metric=metric) == ([1, 2], [4, 3])


@pytest.mark.parametrize("column", ["name", "tag", "key", "variable", "metric"])
def test_metrics_in_rows_are_never_mixed(tmp_path, column):
    rows = [(e, m, e + i) for i, m in enumerate(("loss", "val_acc")) for e in (1, 2)]
    text = f"epoch,{column},value\n" + "".join(f"{e},{m},{v}\n" for e, m, v in rows)
    with pytest.raises(ValueError, match=r"which metric.* loss, val_acc"):
        read(tmp_path, text)
    assert curve(tmp_path, text, metric="val_acc") == ([1, 2], [2, 3])


def test_a_name_beside_a_run_and_a_value_is_of_a_metric(tmp_path):
    text = "run,name,value,step\nr,loss,3,0\nr,norm,5,0\nr,loss,2,1\n"
    assert curve(tmp_path, text, metric="loss") == ([0, 1], [3, 2])


def test_a_name_beside_a_value_may_name_a_run(tmp_path):
    text = "name,step,value\nlarge,1,3\nlarge,2,2\nsmall,1,5\n"
    assert list(runs_of(tmp_path, text)) == ["large", "small"]


# Steps


def test_rows_that_are_logged_twice_count_once(tmp_path):
    text = "epoch,loss\n1,1.9\n1,1.9\n2,1.6\n2,1.6\n3,1.5\n"
    assert curve(tmp_path, text) == ([1, 2, 3], [1.9, 1.6, 1.5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,loss\n1,9\n1,8\n2,7\n2,6\n3,5\n3,4\n", "steps in 'epoch' repeat"),
        ("step,loss\n0,9\n0,8\n0,7\n", "'step' is always 0"),
    ],
)
def test_steps_that_are_not_used_are_named(tmp_path, text, message):
    with pytest.warns(SkippedWarning, match=message):
        assert curve(tmp_path, text)[0] == list(range(1, text.count("\n")))


@pytest.mark.parametrize("cell", ["10k", "1'000", "1/10", "-1"])
def test_what_is_no_step_is_quoted(tmp_path, cell):
    with pytest.raises(ValueError, match=f"line 2: .{cell}. is no step, which must"):
        read(tmp_path, f"step,loss\n{cell},2\n{cell},1\n")
    with pytest.warns(SkippedWarning, match=f"without a step: line 4: .{cell}. is no"):
        read(tmp_path, f"step,loss\n1,2\n2,1\n{cell},1\n")


# Numbers


@pytest.mark.parametrize(
    ("rows", "steps", "values"),
    [
        ("1.000;2,5\n2.000;2,1\n", [1000, 2000], [2.5, 2.1]),
        ("1.000;2\n2.000;2,1\n12.500;3\n", [1000, 2000, 12500], [2, 2.1, 3]),
        ("999;2\n1.000.000;1\n", [999, 1e6], [2, 1]),
        ("1;1.234,5\n2;1.100\n", [1, 2], [1234.5, 1100]),
        ("1.000;2.5\n2.000;2.125\n", [1, 2], [2.5, 2.125]),
    ],
)
def test_points_between_thousands(tmp_path, rows, steps, values):
    assert curve(tmp_path, f"step;loss\n{rows}") == (steps, values)


def test_fractions_and_per_cent_are_not_mixed(tmp_path):
    text = "epoch,acc\n1,0.521\n2,61%\n3,0.662\n"
    with pytest.raises(ValueError, match=r"both 61% and 0.521.*--bounds 0 1"):
        read(tmp_path, text, mode="max")
    with pytest.raises(ValueError, match=r"both 61% and 0.521"):
        read(tmp_path, '{"acc": 0.521}\n{"acc": "61% "}\n', "a.jsonl", mode="max")
    found = curve(tmp_path, text, mode="max", bounds=(0, 1))
    assert found == ([1, 2, 3], [0.521, 0.61, 0.662])
    assert curve(tmp_path, "epoch,acc\n1,52.1\n2,61%\n")[1] == [52.1, 61]


@pytest.mark.parametrize("cell", ["9" * 400, "1e400", "-1e999"])
def test_a_number_that_is_too_large_is_no_divergence(tmp_path, cell):
    with pytest.warns(SkippedWarning, match="line 3: .* is too large for a number"):
        found = curve(tmp_path, f"epoch,loss\n1,2\n2,{cell}\n3,1\n")
    assert found == ([1, 3], [2, 1])


def test_a_cell_before_the_first_number_is_named(tmp_path):
    with pytest.warns(SkippedWarning, match="line 2: 'abc' is not a number"):
        assert curve(tmp_path, "epoch,loss\n1,abc\n2,1.5\n") == ([2], [1.5])


# Lines above the header, and broken ones


@pytest.mark.parametrize("title", ["My experiment", "% of a run", "// x\nToday"])
def test_lines_above_the_header_are_named(tmp_path, title):
    count = title.count("\n") + 1
    with pytest.warns(SkippedWarning, match=f"skipped {count} .*above the header"):
        found = curve(tmp_path, f"{title}\nepoch,val_loss\n1,1.9\n2,1.6\n")
    assert found == ([1, 2], [1.9, 1.6])


def test_facts_above_the_header_are_no_runs(tmp_path):
    text = "run,abc\nseed,3\n\nepoch,val_loss\n1,1.9\n2,1.6\n"
    assert curve(tmp_path, text, metric="val_loss") == ([1, 2], [1.9, 1.6])
    with pytest.raises(ValueError, match=r"--metric. one of abc, val_loss"):
        read(tmp_path, text)


@pytest.mark.parametrize("rows", ["", "0,2.5\n"])
def test_two_bad_quotes_cost_two_lines(tmp_path, rows):
    text = f'epoch,val_loss\n{rows}1,"1.9\n2,1.6\n3,"1.5\n4,1.4\n'
    with pytest.warns(SkippedWarning, match="skipped 2 lines"):
        steps, _ = curve(tmp_path, text)
    assert steps == [*([0] if rows else []), 2, 4]
