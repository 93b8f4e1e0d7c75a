"""A kit whose packages are not installed says which extra brings them."""

import subprocess
import sys
from pathlib import Path

import pytest

from omnitron.base.errors import DefinitionError
from omnitron.child.describe import describe

KITS = (("database", "asyncpg", "postgres"), ("redis", "redis", "redis"), ("streams", "hiredis", "redis"))
WITHOUT = "import sys; sys.modules[{missing!r}] = None; "


@pytest.mark.parametrize(("kit", "missing", "extra"), KITS)
def test_a_kit_without_its_packages_names_the_extra(kit: str, missing: str, extra: str) -> None:
    code = WITHOUT.format(missing=missing) + f"import omnitron.kits.{kit}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    (last,) = done.stderr.strip().splitlines()[-1:]
    assert DefinitionError.__name__ in last and missing in last
    assert f"pip install 'omnitron[{extra}]'" in last


def test_the_description_names_the_extra_and_the_place(tmp_path: Path) -> None:
    module = WITHOUT.format(missing="asyncpg") + "\nfrom omnitron.kits.database import Database\n"
    (tmp_path / "needy.py").write_text(module)
    (tmp_path / "system.py").write_text(
        "from omnitron import Process, define_system\n"
        "system = define_system(name='a', version='1.0.0', processes=[Process(name='p', module='needy')])\n"
    )
    (facts,) = describe(tmp_path / "system.py").apps[0].processes
    assert "omnitron[postgres]" in facts.error and "needy.py:2" in facts.error
