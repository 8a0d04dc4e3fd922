"""What the check of limits counts, on small sources."""

from pathlib import Path

import pytest

from tests.checks.limits import CLASS_ATTRIBUTES, CLASS_LINES, FUNCTION_LINES, PARAMETERS, check, measure


def excesses(source: str) -> list[tuple[str, int, str, int]]:
    return [(excess.name, excess.line, excess.what, excess.figure) for excess in measure(source, "a.py")]


def function(lines: int, signature: str = "f()") -> str:
    return f"def {signature}:\n" + "    pass\n" * (lines - 1)


def test_a_function_may_have_as_many_lines_as_the_limit() -> None:
    assert excesses(function(FUNCTION_LINES)) == []
    assert excesses(function(FUNCTION_LINES + 1)) == [("f", 1, "lines", FUNCTION_LINES + 1)]


def test_decorators_do_not_count_as_lines_of_a_function() -> None:
    assert excesses("@a\n@b\n" + function(FUNCTION_LINES)) == []


@pytest.mark.parametrize(
    "parameters", ["{}", "{}, /", "*, {}", "{}, *rest", "{}, **rest"], ids=["plain", "positional", "keyword", "*", "**"]
)
def test_parameters_of_every_kind_count(parameters: str) -> None:
    def signature(count: int) -> str:
        return f"f({parameters.format(', '.join(f'p{i}' for i in range(count)))})"

    count = PARAMETERS - parameters.count("rest")
    assert excesses(function(2, signature(count))) == []
    assert excesses(function(2, signature(count + 1))) == [("f", 1, "parameters", PARAMETERS + 1)]


def test_self_is_not_counted_as_a_parameter() -> None:
    names = ", ".join(f"p{i}" for i in range(PARAMETERS))
    assert excesses(f"class C:\n    def f(self, {names}): ...") == []
    assert excesses(f"class C:\n    @staticmethod\n    def f({names}): ...") == []
    assert excesses(f"class C:\n    def f(self, {names}, p): ...") == [("C.f", 2, "parameters", PARAMETERS + 1)]
    assert excesses(f"class C:\n    @staticmethod\n    def f({names}, p): ...") == [
        ("C.f", 3, "parameters", PARAMETERS + 1)
    ]


@pytest.mark.parametrize("first", ["context: typer.Context", "name: Annotated[str, typer.Option()]"])
def test_of_a_command_only_the_body_counts(first: str) -> None:
    options = "".join(f"    option_{i}: int = 0,\n" for i in range(FUNCTION_LINES))
    signature = f"def f(\n    {first},\n{options}) -> None:\n"
    assert excesses(signature + "    pass\n" * FUNCTION_LINES) == []
    assert excesses(signature + "    pass\n" * (FUNCTION_LINES + 1)) == [("f", 1, "lines", FUNCTION_LINES + 1)]


def test_a_class_may_have_as_many_lines_as_the_limit() -> None:
    assert excesses("class C:\n" + "    pass\n" * (CLASS_LINES - 1)) == []
    assert excesses("class C:\n" + "    pass\n" * CLASS_LINES) == [("C", 1, "lines", CLASS_LINES + 1)]


def test_attributes_are_fields_and_what_methods_assign() -> None:
    fields = "".join(f"    field_{i}: int\n" for i in range(CLASS_ATTRIBUTES - 4))
    methods = (
        "    def __init__(self):\n        self.a, self.b = 1, 2\n        self.a = 3\n        other.z = 4\n"
        "    def f(this):\n        this.c: int = 1\n        with x as this.d: pass\n        print(this.e)\n"
    )
    assert excesses(f"class C:\n{fields}    shared: ClassVar[int]\n{methods}") == []
    assert excesses(f"class C:\n{fields}    one_more: int\n{methods}") == [("C", 1, "attributes", CLASS_ATTRIBUTES + 1)]


def test_nested_definitions_are_named_in_full() -> None:
    inner = "".join(f"        {line}\n" for line in function(FUNCTION_LINES + 1).splitlines())
    assert [name for name, *_ in excesses(f"class C:\n    def f(self):\n{inner}")] == ["C.f", "C.f.f"]


def test_an_excess_is_reported_with_its_place_unless_it_is_excepted(tmp_path: Path) -> None:
    (tmp_path / "spyctl").mkdir()
    (tmp_path / "spyctl" / "a.py").write_text("\n" + function(70))
    assert check(tmp_path, {}) == ["spyctl/a.py:2: f has 70 lines, the limit is 60"]
    assert check(tmp_path, {"spyctl/a.py f lines": "a table"}) == []


def test_an_exception_that_is_no_longer_needed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "spyctl").mkdir()
    (tmp_path / "spyctl" / "a.py").write_text(function(60))
    assert check(tmp_path, {"spyctl/a.py f lines": "a table"}) == [
        "remove this exception, it is no longer needed: spyctl/a.py f lines"
    ]
