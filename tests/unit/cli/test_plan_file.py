from pathlib import Path

import pytest

from meshtrial.cli.plan_file import read_plan
from meshtrial.errors import PlanError, SettingError

GOOD = Path(__file__).parents[2] / "plans" / "good"
MINIMAL = (GOOD / "minimal.yaml").read_bytes()


def refusal(path: Path) -> str:
    with pytest.raises(SettingError) as refused:
        read_plan(path)
    return str(refused.value)


@pytest.mark.parametrize("path", sorted(GOOD.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_good_file_is_read(path: Path) -> None:
    assert read_plan(path).experiments


def test_the_error_of_a_bad_plan_names_the_file_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(MINIMAL.replace(b"alpha: 0.05", b"alpha: 5"))
    with pytest.raises(PlanError) as refused:
        read_plan(path)

    assert str(refused.value) == (
        f"{path}:14: $.experiments.rank-v2.decision.alpha: must be above 0 and below 0.5, not 5 [range]"
    )


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace(b"\n", b"\r\n"))

    assert read_plan(path) == read_plan(GOOD / "minimal.yaml")


def test_an_absent_file_is_told() -> None:
    assert refusal(Path("no/such.yaml")) == "the plan no/such.yaml cannot be read: No such file or directory"


def test_a_directory_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"the plan {tmp_path} cannot be read: Is a directory"


def test_a_read_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)

    assert (
        refusal(tmp_path / "plan.yaml")
        == f"the plan {tmp_path / 'plan.yaml'} cannot be read: Permission denied"
    )


def test_a_name_that_no_file_can_have_is_told() -> None:
    assert refusal(Path("a\0b")).endswith("cannot be read: embedded null byte")


def test_an_empty_file_is_told_as_an_empty_document(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.touch()
    with pytest.raises(PlanError) as refused:
        read_plan(path)

    assert str(refused.value) == f"{path}:1: $: the document is empty [yaml]"


def test_a_file_that_is_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"# Gr\xfc\xdfe\n" + MINIMAL)

    assert refusal(path) == f"the plan {path} is not UTF-8 text: line 1 cannot be decoded"


@pytest.mark.parametrize(
    "content", [bytes(range(256)) * 40, b"\x7fELF\x02\x01\x01" + bytes(5000)], ids=["bytes", "ELF"]
)
def test_a_binary_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(content)
    with pytest.raises((PlanError, SettingError)) as refused:
        read_plan(path)

    assert len(str(refused.value).splitlines()) == 1


def test_a_file_larger_than_any_configuration_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(MINIMAL + b"# " + b"x" * 20_000_000)

    assert refusal(path) == f"the plan {path} is over 20,000,000 bytes, the limit"


def test_a_plan_of_ten_megabytes_is_refused_by_its_length(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(MINIMAL + b"# " + b"x" * 10_000_000)

    with pytest.raises(PlanError, match="the limit is 1,000,000"):
        read_plan(path)
