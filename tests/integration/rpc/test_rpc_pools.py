"""Pools of real processes, killed, drained and restarted."""

import asyncio
import signal
import threading

import pytest
from rpc_services import Control, Work
from rpc_world import eventually, record

from omnitron.base.errors import DeadlineExceeded, ServiceNotFound, Unavailable, WorkerDied
from omnitron.rpc.blocking import BlockingClient
from omnitron.rpc.client import connect
from omnitron.rpc.proxy import with_options


async def connected(client, count):
    async def all_open():
        return sum(peer.link is not None for peer in client.peers) == count

    await eventually(all_open)


async def test_a_killed_worker_fails_what_it_ran_and_idempotent_calls_go_elsewhere(replicas, client_of):
    async def worker_gone(replica, incarnation):
        return f"SIGKILL (incarnation {incarnation})"

    pair = replicas(2)
    client = client_of(*pair, worker_gone=worker_gone)
    work = client.proxy(Work)
    await work.pid()
    await connected(client, 2)
    once = [asyncio.create_task(work.once(30)) for _ in range(4)]
    again = [asyncio.create_task(work.again(0.3)) for _ in range(4)]
    await asyncio.sleep(0.1)
    pair[0].kill()
    survivor = pair[1].worker.pid
    assert set(await asyncio.gather(*again)) == {survivor}
    done = [task for task in once if task.done()]
    assert len(done) == 2, "exactly the calls in flight on the dead worker fail, and at once"
    for task in done:
        error = task.exception()
        assert isinstance(error, WorkerDied)
        assert error.details == {"replica": "test/work/0", "incarnation": 1, "reason": "SIGKILL (incarnation 1)"}
    for task in once:
        task.cancel()
    await asyncio.gather(*once, return_exceptions=True)


async def test_a_call_waits_for_a_worker_to_come_back_at_the_same_path(replicas, client_of):
    (replica,) = replicas(1)
    client = client_of(replica)
    work = client.proxy(Work)
    first = await work.pid()
    replica.kill()
    await connected(client, 0)
    waiting = asyncio.create_task(work.once(0))
    await asyncio.sleep(0.1)
    replica.start()
    assert await waiting == replica.worker.pid != first


async def test_nobody_at_the_path_is_unavailable_at_the_deadline(replicas, client_of):
    (replica,) = replicas(1)
    replica.kill()
    with pytest.raises(Unavailable, match="test/work/0"):
        await with_options(client_of(replica).proxy(Work), deadline="100ms").pid()


@pytest.mark.parametrize("count", [1, 2])
async def test_rolling_reloads_under_load_lose_nothing(replicas, client_of, count):
    pool = replicas(count)
    client = client_of(*pool)
    work = client.proxy(Work)
    await work.pid()
    stop, answers = asyncio.Event(), []

    async def caller():
        while not stop.is_set():
            answers.append(await work.once(0.002))

    callers = [asyncio.create_task(caller()) for _ in range(16)]
    for _ in range(3 - count):
        for replica in pool:
            old, new = replica.worker, replica.start()
            ready, link = await connect(str(replica.path), Control)
            await ready.ping()
            link.finish()
            old.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(old.wait, 20) == 0
            seen = len(answers)

            async def successor_answers(pid=new.pid, seen=seen):
                return pid in answers[seen:]

            await eventually(successor_answers)
    stop.set()
    await asyncio.gather(*callers)
    assert len(set(answers)) >= 3


async def test_a_drain_lets_what_runs_finish_and_then_the_worker_ends(replicas, client_of):
    (replica,) = replicas(1)
    work = client_of(replica).proxy(Work)
    pid = await work.pid()
    running = asyncio.create_task(work.once(0.4))
    await asyncio.sleep(0.1)
    replica.worker.send_signal(signal.SIGTERM)
    assert await running == pid
    assert await asyncio.to_thread(replica.worker.wait, 20) == 0


async def test_calls_with_a_key_meet_at_one_replica(replicas, client_of):
    pool = replicas(3)
    client = client_of(*pool)
    work = client.proxy(Work)
    await work.pid()
    await connected(client, 3)
    owners = {symbol: await work.pid_of(symbol) for symbol in "abcdefghijklmnop"}
    assert len(set(owners.values())) > 1
    for symbol, owner in owners.items():
        assert {await work.pid_of(symbol) for _ in range(3)} == {owner}
        assert await with_options(work, key=symbol).pid() == owner


async def test_idle_replicas_are_used_first(replicas, client_of):
    client = client_of(*replicas(3))
    work = client.proxy(Work)
    await work.pid()
    await connected(client, 3)
    assert len(set(await asyncio.gather(*(work.once(0.1) for _ in range(3))))) == 3


async def test_the_directory_may_grow_shrink_and_go_quiet(replicas, client_of):
    one, two = replicas(2)
    client = client_of(one)
    work = client.proxy(Work)
    assert await work.pid() == one.worker.pid
    client.directory.update([record([two.endpoint])])
    assert await work.pid() == two.worker.pid
    assert [peer.endpoint.replica for peer in client.peers] == ["test/work/1"]
    client.directory.update([])
    with pytest.raises(Unavailable):
        await with_options(work, deadline="50ms").pid()


async def test_a_known_socket_tells_of_its_end(replicas):
    (replica,) = replicas(1)
    work, link = await connect(str(replica.path), Work)
    await work.pid()
    replica.kill()
    async with asyncio.timeout(20):
        await link.closed
    with pytest.raises(Unavailable):
        await work.pid()


def test_the_blocking_client_calls_streams_and_survives_a_restart(replicas):
    (replica,) = replicas(1)
    with BlockingClient(str(replica.path)) as client:
        assert client.call("work", "pid", result=int) == replica.worker.pid
        assert list(client.stream("work@1", "numbers", 300, result=int)) == list(range(300))
        stream = client.stream("work", "forever")
        assert [next(stream) for _ in range(3)] == [0, 1, 2]
        stream.close()
        assert client.call("control", "ping") == "pong"
        with pytest.raises(DeadlineExceeded):
            client.call("work", "once", 30, timeout_s=0.1)
        with pytest.raises(ServiceNotFound):
            client.call("work@3", "pid")
        replica.kill()
        replica.start()
        assert client.call("work", "pid") == replica.worker.pid
        threading.Timer(0.1, replica.kill).start()
        with pytest.raises(WorkerDied):
            client.call("work", "once", 30)
    with pytest.raises(Unavailable):
        BlockingClient(str(replica.path)).connect()
