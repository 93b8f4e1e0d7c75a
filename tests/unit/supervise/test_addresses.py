"""Published addresses: swapped, never missing in between, and taken away only by their owner."""

import os
import socket
from pathlib import Path

from omnitron.control.keeper import ServiceEndpoints
from omnitron.supervise.directory import needed
from omnitron.supervise.publish import Addresses


def test_a_published_address_reaches_the_incarnation(tmp_path: Path) -> None:
    addresses = Addresses(tmp_path)
    with addresses.listen("http", 0, 3, None), socket.socket(socket.AF_UNIX) as caller:
        addresses.publish("http", 0, 3)
        caller.connect(str(addresses.published_path("http", 0)))
        assert addresses.published("http", 0) == 3


def test_the_late_end_of_an_old_incarnation_does_not_hide_its_successor(tmp_path: Path) -> None:
    addresses = Addresses(tmp_path)
    addresses.publish("http", 0, 1)
    addresses.publish("http", 0, 2)
    addresses.withdraw("http", 0, 1)
    assert addresses.published("http", 0) == 2
    addresses.withdraw("http", 0, 2)
    assert addresses.published("http", 0) is None


def test_a_sweep_leaves_the_living_and_removes_the_rest(tmp_path: Path) -> None:
    addresses = Addresses(tmp_path)
    for incarnation in (1, 2):
        addresses.listen("http", 0, incarnation, None).close()
    os.mkfifo(tmp_path / "o" / "http.0.1.out")
    os.mkfifo(tmp_path / "o" / "http.template.0.0.out")
    addresses.publish("http", 0, 2)
    addresses.publish("gone", 1, 9)
    addresses.sweep({("http", 0, 2)})
    assert [path.name for path in (tmp_path / "i").iterdir()] == ["http.0.2"]
    assert list((tmp_path / "o").iterdir()) == []
    assert addresses.published("http", 0) == 2 and addresses.published("gone", 1) is None


def test_a_process_is_told_of_the_services_it_names_by_class_or_service_app_and_version() -> None:
    here = ServiceEndpoints("market", "ohlcv@1.0.0", "Aggregator", ())
    there = ServiceEndpoints("ledger", "ohlcv@2.0.0", "Aggregator", ())
    assert needed(["Aggregator"], [here, there]) == [here, there]
    assert needed(["ledger/ohlcv@2"], [here, there]) == [there]
    assert needed(["ohlc"], [here, there]) == []
