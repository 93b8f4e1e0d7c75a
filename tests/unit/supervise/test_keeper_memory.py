"""What a keeper writes down survives its death at any moment."""

from pathlib import Path

import msgspec

from omnitron.base.names import ReplicaId
from omnitron.supervise.processinfo import boot_id
from omnitron.supervise.saved import Memory, SavedApp, SavedReplica, Step, load
from omnitron.supervise.slot import Slot


def replica(key: int, incarnation: int) -> SavedReplica:
    return SavedReplica(key=key, role="holder", slot=Slot(id=ReplicaId("a", "p", key), incarnation=incarnation))


def test_steps_since_the_snapshot_are_part_of_the_state(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 0)
    memory.snapshot(SavedApp(boot=boot_id(), replicas=(replica(0, 1), replica(1, 1))))
    assert memory.step(Step(0, 5, replica(0, 2))) and memory.step(Step(1, 6, None))
    state, trouble = load(tmp_path)
    assert state is not None and trouble == ""
    assert [r.slot.incarnation for r in state.replicas] == [2] and state.seq == 6


def test_a_snapshot_starts_the_steps_anew(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 0)
    memory.snapshot(SavedApp(boot=boot_id()))
    memory.step(Step(0, 1, replica(0, 1)))
    memory.snapshot(SavedApp(boot=boot_id()))
    state, _ = load(tmp_path)
    assert state is not None and state.replicas == () and state.number == 2
    assert len(list(tmp_path.glob("*.steps"))) == 1


def test_a_torn_last_step_is_ignored(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 0)
    memory.snapshot(SavedApp(boot=boot_id()))
    memory.step(Step(0, 1, replica(0, 1)))
    (steps,) = tmp_path.glob("*.steps")
    with steps.open("ab") as file:
        file.write(b'[0,2,{"key":')
    state, trouble = load(tmp_path)
    assert state is not None and trouble == "" and state.replicas[0].slot.incarnation == 1


def test_after_many_steps_a_snapshot_is_asked_for(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 0)
    memory.snapshot(SavedApp(boot=boot_id()))
    taken = 0
    while memory.step(Step(0, taken, replica(0, taken))):
        taken += 1
    assert 100 < taken < 10_000


def test_what_ran_before_a_boot_of_the_machine_is_forgotten_what_is_wanted_is_not(tmp_path: Path) -> None:
    Memory(tmp_path, 0).snapshot(SavedApp(boot="another", failed="because", replicas=(replica(0, 1),)))
    state, _ = load(tmp_path)
    assert state is not None and state.replicas == () and state.failed == "because"


def test_a_corrupt_or_foreign_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "keeper.json"
    path.write_bytes(b"{")
    assert "can not be read" in load(tmp_path)[1]
    path.write_bytes(msgspec.json.encode(SavedApp(boot=boot_id(), format=99)))
    assert "format 99" in load(tmp_path)[1]
    path.unlink()
    assert load(tmp_path) == (None, "")
