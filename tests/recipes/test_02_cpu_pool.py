"""Recipe 2: expensive work in a pool that shares memory, spreads calls, refuses what is too much, and grows."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from load import Load, get_all
from PIL import Image

from omnitron.testing.real import RealSystem

EXAMPLE = Path(__file__).parents[2] / "examples" / "02-cpu-pool"
POOL = "images/image-transform"
WORKERS = 4
HEAVY = "/render?width=1400&height=1400&format=png&blur=4"
LIGHT = "/render?width=64&height=64&format=webp"
SCALED_S = 120.0


@pytest.fixture(scope="module")
def images() -> Iterator[RealSystem]:
    """The example as it is."""
    with RealSystem() as system:
        system.up(EXAMPLE)
        yield system


def calls(system: RealSystem) -> dict[str, int]:
    """Answered so far, by worker; the pool may still be on its way to its size."""
    return {replica.replica: replica.calls for replica in system.process(POOL).replicas}


def test_workers_are_forked_from_a_template_and_share_memory(images: RealSystem) -> None:
    workers = images.ready(POOL)
    assert [worker.mode for worker in workers] == ["template"] * WORKERS
    pss, rss = sum(w.pss or 0 for w in workers), sum(w.rss or 0 for w in workers)
    assert 0 < pss < 0.6 * rss


def test_a_picture_is_rendered_as_asked(images: RealSystem) -> None:
    (answer,) = get_all(images.url("images/http"), ["/render?width=200&height=200&format=jpeg&blur=2"])
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(answer.body)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (200, 150))


@pytest.mark.parametrize("query", ["width=0", "height=99999", "format=exe", "blur=-1"])
def test_what_is_out_of_bounds_is_refused_with_the_bounds(images: RealSystem, query: str) -> None:
    (answer,) = get_all(images.url("images/http"), [f"/render?{query}"])
    assert (answer.status, answer.body["code"]) == (422, "invalid_arguments")


def test_calls_are_spread_over_all_workers(images: RealSystem) -> None:
    before = calls(images)
    answers = get_all(images.url("images/http"), [LIGHT] * 32)
    assert {answer.status for answer in answers} == {200}
    images.wait(lambda: sum(calls(images).values()) >= sum(before.values()) + 32)
    assert all(calls(images)[worker] > before[worker] for worker in before)


def test_a_worker_killed_in_the_middle_of_its_calls_costs_none_of_them(images: RealSystem) -> None:
    load = Load(images.url("images/http"), lambda n: LIGHT, kept=8, pause_s=0.0)
    with images.census.watching() as twice, load.running() as tally:
        for slot in (0, 1, 2):
            enough = len(load) + 20
            images.wait(lambda enough=enough: len(load) > enough)
            killed = images.kill(f"{POOL}/{slot}")
            images.wait(lambda slot=slot, killed=killed: images.pid(f"{POOL}/{slot}") != killed)
        images.wait(lambda: len(images.ready(POOL)) >= WORKERS)
    assert tally.failed == []
    assert twice == []


def test_the_pool_is_scaled_by_hand_within_its_bounds(images: RealSystem) -> None:
    images.act("scale", POOL, "6")
    images.wait(lambda: len(images.ready(POOL)) == 6)
    images.act("scale", POOL, str(WORKERS))
    images.wait(lambda: len(images.process(POOL).replicas) == WORKERS)
    refused = images.act("scale", POOL, "0", check=False)
    assert refused.returncode == 3 and "omnitron stop" in refused.stderr


def variant(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """The example with another definition."""
    copy = folder / name
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / "system.py").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (copy / "system.py").write_text(text)
    return copy


def test_more_than_the_pool_takes_is_refused_at_once_and_the_rest_is_answered(
    real_system: type[RealSystem], tmp_path: Path
) -> None:
    """Two workers that run one call each and let one wait: four are taken, the others are not kept waiting."""
    system = real_system(
        variant(
            tmp_path,
            "small",
            ("instances=4", "instances=2"),
            ('strategy="auto", max_instances=8, target_cpu=70', ""),
            ("concurrency=2, queue=16", "concurrency=1, queue=1"),
        )
    )
    answers = get_all(system.url("images/http"), [HEAVY] * 24)
    refused = [answer for answer in answers if answer.status != 200]
    served = [answer for answer in answers if answer.status == 200]
    assert len(served) >= 4 and len(refused) >= 8
    for answer in refused:
        assert (answer.status, answer.body["code"]) == (503, "overloaded")
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 1
    assert min(answer.took for answer in refused) < max(answer.took for answer in served)


def test_the_pool_grows_under_load_and_shrinks_when_it_is_over(real_system: type[RealSystem], tmp_path: Path) -> None:
    system = real_system(
        variant(
            tmp_path,
            "elastic",
            ("instances=4", "instances=1"),
            ("max_instances=8, target_cpu=70", 'max_instances=3, target_cpu=5, cooldown="2s"'),
        )
    )
    assert len(system.ready(POOL)) == 1
    load = Load(system.url("images/http"), lambda n: HEAVY, kept=4, pause_s=0.0)
    with load.running() as tally:
        system.wait(lambda: len(system.ready(POOL)) >= 2, SCALED_S)
    assert tally.failed == []
    system.wait(lambda: len(system.process(POOL).replicas) == 1, SCALED_S)
    reasons = [event.reason for event in system.events(POOL) if event.kind == "process.scaled"]
    assert len(reasons) >= 2 and all(reasons)
