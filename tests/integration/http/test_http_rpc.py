import json
from typing import Any

from omnitron.child.http.problems import CONTENT_TYPE

Serve = Any


async def test_a_method_is_called_with_arguments_by_order_by_name_or_none(serve: Serve) -> None:
    edge = await serve()
    for path, body, answer in (
        ("/rpc/market/price", ["BTC"], "1.10"),
        ("/rpc/market@1.0.0/price", {"symbol": "BTC"}, "1.10"),
        ("/rpc/market/live", None, 0),
    ):
        response = await edge.client.post(path, content=json.dumps(body) if body is not None else b"")
        assert (response.status_code, response.json()) == (200, answer)


async def test_a_plain_method_runs_in_a_thread_of_the_replica(serve: Serve) -> None:
    edge = await serve()
    assert (await edge.client.post("/rpc/market/pid")).json() == edge.replica.popen.pid


async def test_errors_are_problem_documents(serve: Serve) -> None:
    edge = await serve()
    cases = [
        ("POST", "/rpc/market/price", '["BTC", "x"]', 422, "invalid_arguments", "digits"),
        ("POST", "/rpc/market/price", '{"symbl": "BTC"}', 422, "invalid_arguments", "Did you mean 'symbol'"),
        ("POST", "/rpc/market/price", "{", 422, "invalid_arguments", "not a JSON"),
        ("POST", "/rpc/market/prise", "", 404, "method_not_found", "Did you mean 'price'"),
        ("POST", "/rpc/markt/price", "", 404, "service_not_found", "Did you mean 'market'"),
        ("POST", "/rpc/omnitron.replica/ping", "", 404, "service_not_found", "omnitron.replica"),
        ("POST", "/rpc/market/secret", "", 401, "unauthenticated", "principal"),
        ("POST", "/rpc/market/busy", "", 503, "overloaded", "full"),
        ("POST", "/rpc/market/price", '["ETH"]', 500, "internal", "log"),
        ("GET", "/rpc/market/price", "", 405, "method_not_allowed", "POST"),
        ("POST", "/symbols", "", 405, "method_not_allowed", "GET"),
        ("GET", "/nothing", "", 404, "not_found", "/nothing"),
        ("GET", "/fails", "", 500, "internal", "log"),
    ]
    for method, path, body, status, code, words in cases:
        response = await edge.client.request(method, path, content=body)
        problem = response.json()
        assert (response.status_code, problem["code"]) == (status, code), (path, problem)
        assert response.headers["content-type"].encode() == CONTENT_TYPE[1]
        assert problem["status"] == status and words in problem["detail"], problem
        assert "password" not in response.text and "Traceback" not in response.text
    assert (await edge.client.post("/rpc/market/busy")).headers["retry-after"] == "3"


async def test_a_stream_is_newline_delimited_json_or_events(serve: Serve) -> None:
    edge = await serve()
    response = await edge.client.post("/rpc/market/ticks", json=[3])
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.text == '"0"\n"1"\n"2"\n'
    response = await edge.client.post("/rpc/market/ticks", json=[2], headers={"accept": "text/event-stream"})
    assert response.text == 'data: "0"\n\ndata: "1"\n\n'


async def test_a_stream_that_fails_ends_with_a_problem(serve: Serve) -> None:
    edge = await serve()
    lines = (await edge.client.post("/rpc/market/breaks")).text.splitlines()
    assert lines[0] == "1"
    assert json.loads(lines[1])["code"] == "internal" and "secret" not in lines[1]


async def test_a_stream_is_made_no_faster_than_it_is_read(serve: Serve) -> None:
    edge = await serve()
    async with edge.client.stream("POST", "/rpc/market/ticks", json=[100_000, 10_000]) as response:
        async for _ in response.aiter_bytes():
            break
        made = (await edge.client.post("/rpc/market/how_many_made")).json()
        again = (await edge.client.post("/rpc/market/how_many_made")).json()
    assert made <= again < 5_000  # of 1 GB: what socket buffers hold


async def test_a_client_that_goes_ends_the_work_it_asked_for(serve: Serve) -> None:
    edge = await serve()
    async with edge.client.stream("POST", "/rpc/market/ticks", json=[100_000, 10_000]):
        assert (await edge.client.post("/rpc/market/live")).json() == 1
    for _ in range(200):
        if (await edge.client.post("/rpc/market/live")).json() == 0:
            return
    raise AssertionError("the stream goes on")


async def test_the_trace_goes_on_and_comes_back(serve: Serve) -> None:
    edge = await serve()
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    response = await edge.client.post("/rpc/market/trace", headers={"traceparent": given, "x-request-id": "mine"})
    assert response.json().startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert response.json() != given and response.headers["traceparent"] == response.json()
    assert response.headers["x-request-id"] == "mine"
    made = await edge.client.post("/rpc/market/trace", headers={"traceparent": "nonsense"})
    assert made.headers["x-request-id"] == made.json()[3:35]


async def test_requests_beyond_concurrency_and_queue_are_refused_at_once(serve: Serve) -> None:
    import asyncio

    from omnitron.model.scaling import Limits

    edge = await serve(process={"module": "app", "limits": Limits(concurrency=1, queue=1)})
    slow = [asyncio.create_task(edge.client.post("/rpc/market/slow", json=[0.5])) for _ in range(3)]
    statuses = sorted([response.status_code for response in await asyncio.gather(*slow)])
    assert statuses == [200, 200, 503]
