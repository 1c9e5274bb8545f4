import csv
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner, Result

from meshtrial.cli.assign import assign
from meshtrial.errors import SettingError
from plan_values import experiment, plan_text

app = typer.Typer()
app.command()(assign)

HEADER = ["unit", "experiment", "arm", "bucket", "reason", "layer_bucket"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_plan(experiments: Mapping[str, object], **sections: object) -> None:
    Path("plan.yaml").write_text(plan_text(experiments, **sections))


def run(file: str, *arguments: str) -> Result:
    result = CliRunner().invoke(app, ["plan.yaml", file, *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result


def rows(text: str) -> list[dict[str, str]]:
    found = list(csv.DictReader(io.StringIO(text)))
    assert all(list(row) == HEADER for row in found)
    return found


def refusal(file: str, *arguments: str) -> str:
    with pytest.raises(SettingError) as refused:
        run(file, *arguments)
    return str(refused.value)


def bucket(salt: str, unit: str) -> int:
    return int(hashlib.md5(f"{salt}:{unit}".encode()).hexdigest(), 16) % 10_000


def two_arms(**keys: Any) -> dict[str, object]:
    return experiment({"v1": {"weight": 50}, "v2": {"weight": 50}}, **keys)


def test_every_unit_of_a_csv_file_gets_the_arm_that_md5_says() -> None:
    write_plan({"rank": two_arms()})
    units = ["u1", "007", "a,b", 'say "x"', "two\nlines", "ünï"]
    with Path("users.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["n", "user_id"], *([n, unit] for n, unit in enumerate(units))])

    assert rows(run("users.csv", "--column", "user_id").stdout) == [
        {
            "unit": unit,
            "experiment": "rank",
            "arm": "v2" if bucket("rank", unit) < 5000 else "v1",
            "bucket": str(bucket("rank", unit)),
            "reason": "split",
            "layer_bucket": "",
        }
        for unit in units
    ]


def test_parquet_goes_in_and_out_with_whole_numbers_as_units(here: Path) -> None:
    write_plan({"rank": two_arms()})
    pq.write_table(pa.table({"user": pa.array([7, None, 2**40], pa.int64())}), "users.parquet")
    said = run("users.parquet", "--output", "arms.parquet")
    table = pq.read_table("arms.parquet")

    assert said.stdout == ""
    assert said.stderr == "3 units, 1 experiment: arms.parquet\n"
    assert table.column_names == HEADER
    assert table["unit"].to_pylist() == ["7", None, str(2**40)]
    assert table["bucket"].to_pylist() == [bucket("rank", "7"), None, bucket("rank", str(2**40))]
    assert table["reason"].to_pylist() == ["split", "default", "split"]
    assert table["arm"].to_pylist()[1] == "v1"
    assert [path.name for path in here.iterdir() if "arms" in path.name] == ["arms.parquet"]


def test_all_experiments_of_a_layer_stand_beside_each_other_for_each_unit() -> None:
    layers = {"shared": {"unit": {"header": "x-user-id"}, "holdout": "10%"}}
    write_plan(
        {
            "one": two_arms(layer="shared", slice=["0%", "50%"]) | {"unit": {"header": "x-user-id"}},
            "two": two_arms(layer="shared", slice=["50%", "100%"]) | {"unit": {"header": "x-user-id"}},
        },
        layers=layers,
    )
    units = [f"u{n}" for n in range(50)]
    Path("users.csv").write_text("\n".join(["header:x-user-id", *units]))
    found = rows(run("users.csv").stdout)

    assert [(row["unit"], row["experiment"]) for row in found] == [
        (u, e) for u in units for e in ("one", "two")
    ]
    for row in found:
        shared = bucket("shared", row["unit"])
        inside = (1000 <= shared < 5000) if row["experiment"] == "one" else shared >= 5000
        reason = "holdout" if shared < 1000 else "split" if inside else "outside"
        assert (row["layer_bucket"], row["reason"]) == (str(shared), reason)
        assert (row["bucket"] != "") == inside


def test_columns_named_like_sources_feed_audiences_and_cohorts() -> None:
    arms = {"v1": {"weight": {"default": 100, "firm": 0}}, "v2": {"weight": {"default": 0, "firm": 100}}}
    audience = [{"header": "x-country", "in": ["IN"]}]
    write_plan(
        {"rank": experiment(arms, audience=audience)},
        cohorts={"firm": [{"header": "x-plan", "in": ["firm"]}]},
    )
    Path("users.csv").write_text(
        "id,header:x-country,header:x-plan\nu1,IN,firm\nu2,US,firm\nu3,IN,\nu4,,firm\n"
    )
    result = run("users.csv", "--column", "id")

    assert [(row["arm"], row["reason"]) for row in rows(result.stdout)] == [
        ("v2", "split"),
        ("", ""),
        ("v1", "split"),
        ("", ""),
    ]
    assert result.stderr == ""


def test_what_the_file_does_not_say_is_told() -> None:
    arms = {"v1": {"weight": {"default": 100, "firm": 0}}, "v2": {"weight": {"default": 0, "firm": 100}}}
    audience = [{"header": "x-country", "in": ["IN"]}]
    write_plan(
        {"rank": experiment(arms, audience=audience, sticky=True)},
        cohorts={"firm": [{"header": "x-plan", "in": ["firm"]}]},
    )
    Path("users.csv").write_text("id\nu1\n")
    result = run("users.csv")

    assert [row["arm"] for row in rows(result.stdout)] == ["v1"]
    assert result.stderr.splitlines() == [
        "rank: the file has no header:x-country; what its audience asks of it is taken to hold",
        "rank: the file has no header:x-plan; cohorts that ask for it are taken not to hold",
        "rank: sticky; arms are those of the buckets, not those that were kept",
    ]


def test_experiments_whose_unit_the_file_lacks_are_left_out_and_told() -> None:
    write_plan(
        {
            "by-cookie": two_arms(unit={"cookie": "sid"}, match={"path_prefix": "/a"}),
            "by-time": two_arms(
                unit={"switchback": {"key": {"header": "x-city"}, "window": "1h"}},
                match={"path_prefix": "/b"},
            ),
            "by-user": two_arms(match={"path_prefix": "/c"}),
        }
    )
    Path("users.csv").write_text("header:x-user-id,n\nu1,1\n")
    result = run("users.csv")

    assert [row["experiment"] for row in rows(result.stdout)] == ["by-user"]
    assert result.stderr.splitlines() == [
        "by-cookie: left out, as there is no column `cookie:sid`",
        "by-time: left out, as it assigns windows of time",
    ]
    assert refusal("users.csv", "--column", "n", "--experiment", "by-time") == (
        "`by-time` assigns windows of time, and a list of units has no times"
    )
    assert refusal("users.csv", "--experiment", "by-cookie") == (
        "users.csv does not say which column holds the unit of `by-cookie`: name it with --column, "
        "or call it `cookie:sid`; it has header:x-user-id, n"
    )


def test_one_column_is_not_taken_for_two_kinds_of_unit() -> None:
    write_plan(
        {
            "one": two_arms(unit={"cookie": "sid"}, match={"path_prefix": "/a"}),
            "two": two_arms(match={"path_prefix": "/b"}),
        }
    )
    Path("users.csv").write_text("id\nu1\n")

    assert refusal("users.csv") == (
        "the experiments `one` (cookie:sid) and `two` (header:x-user-id) have different units: "
        "choose one with --experiment, or name columns like the units"
    )
    assert [row["experiment"] for row in rows(run("users.csv", "--experiment", "two").stdout)] == ["two"]


def test_files_that_cannot_be_used_are_refused_by_name() -> None:
    write_plan({"rank": two_arms()})
    Path("users.csv").write_text("id,n\nu1,1\n")
    Path("empty.csv").write_text("")
    Path("twice.csv").write_text("id,id\nu1,u1\n")
    Path("ragged.csv").write_text("id,n\nu1\n")
    Path("latin.csv").write_bytes(b"id\n\xff\n")
    Path("no.parquet").write_text("text")
    pq.write_table(pa.table({"id": [1.5]}), "floats.parquet")

    assert refusal("users.txt") == "users.txt: the name must end in .csv or .parquet, which says its form"
    assert refusal("absent.csv") == "absent.csv cannot be read: No such file or directory"
    assert refusal("empty.csv") == "empty.csv is empty: it needs a line with the names of its columns"
    assert refusal("twice.csv") == "twice.csv: the column `id` stands twice"
    assert refusal("users.csv", "--column", "user") == "users.csv has no column `user`; it has id, n"
    assert refusal("floats.parquet") == (
        "floats.parquet: the column `id` holds double; "
        "units and values of requests are texts or whole numbers"
    )
    for file in ("ragged.csv", "latin.csv", "no.parquet"):
        assert refusal(file, "--column", "id").startswith(f"{file} cannot be read: ")
    assert refusal("users.csv", "--column", "id", "--output", "a/b.csv") == (
        "a/b.csv cannot be written: No such file or directory"
    )
    assert refusal("users.csv", "--output", "arms.txt").startswith("arms.txt: the name must end in")


def test_a_run_that_fails_leaves_an_older_file_as_it_was(here: Path) -> None:
    write_plan({"rank": two_arms()})
    Path("ragged.csv").write_text("id,n\nu1,1\nu2\n")
    Path("arms.csv").write_text("older")
    refusal("ragged.csv", "--column", "id", "--output", "arms.csv")

    assert Path("arms.csv").read_text() == "older"
    assert sorted(path.name for path in here.iterdir()) == ["arms.csv", "plan.yaml", "ragged.csv"]
