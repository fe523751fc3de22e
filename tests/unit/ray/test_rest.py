from __future__ import annotations

import httpx
import pytest

from framework.api.errors import ConfigurationError, MlopsError, TerminalError, TransientError
from framework.backends.ray.rest import RayAddress, RayRest
from tests.unit.ray.fake_ray import FakeRay


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (httpx.ConnectError("refused"), TransientError),
        (httpx.ReadTimeout("slow"), TransientError),
        (httpx.RemoteProtocolError("closed"), TransientError),
        (500, TransientError),
        (503, TransientError),
        (401, ConfigurationError),
        (403, ConfigurationError),
        (400, TerminalError),
        (422, TerminalError),
        (httpx.Response(200, text="<html>"), TransientError),
    ],
)
def test_every_trouble_is_one_of_our_errors(failure: int | Exception, expected: type[MlopsError]) -> None:
    ray = FakeRay()
    ray.fail = [failure]
    with pytest.raises(expected):
        ray.rest().get("/api/jobs/")


@pytest.mark.parametrize("url", ["https://ray:abc", "https://[::1", "http://[zz]:1", "https://ray.example.com:99999"])
def test_what_is_no_address_is_the_operators_to_mend(url: str) -> None:
    rest = RayRest(lambda: RayAddress(url), timeout=0.01)
    for ask in (lambda: rest.get("/api/jobs/"), lambda: rest.text("/api/x", 10), lambda: rest.ping(0.01)):
        with pytest.raises(ConfigurationError, match="that is no address"):
            ask()


def test_what_does_not_exist_is_none() -> None:
    assert FakeRay().rest().get("/api/jobs/never") is None


def test_a_wrong_token_is_the_operators_to_mend() -> None:
    with pytest.raises(ConfigurationError, match="refuses the token"):
        FakeRay().rest(token="wrong").get("/api/jobs/")


def test_errors_never_carry_the_token() -> None:
    ray = FakeRay()
    for failure in (401, 500, 400, httpx.ConnectError("refused")):
        ray.fail = [failure]
        with pytest.raises(MlopsError) as caught:
            ray.rest(token="s3cret").get("/api/jobs/")
        assert "s3cret" not in str(caught.value)


def test_without_a_cluster_it_is_worth_waiting() -> None:
    with pytest.raises(TransientError, match="not running"):
        RayRest(lambda: None).get("/api/jobs/")


def test_a_head_that_came_back_elsewhere_is_found() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.url.port}/{request.headers['authorization']}")
        return httpx.Response(200, json=[])

    addresses = [RayAddress("http://127.0.0.1:1111", "a"), RayAddress("http://127.0.0.1:2222", "b")]
    rest = RayRest(lambda: addresses[0], transport=httpx.MockTransport(answer))
    rest.get("/")
    addresses.pop(0)
    rest.get("/")
    assert seen == ["1111/Bearer a", "2222/Bearer b"]


def test_links_lead_to_the_dashboard() -> None:
    address = RayAddress("http://127.0.0.1:8265")
    assert address.job_link("train-a-1") == "http://127.0.0.1:8265/#/jobs/train-a-1"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(503, text="Health check failed"), TransientError),
        (httpx.ReadTimeout("slow"), TransientError),
        (httpx.ConnectError("refused"), TransientError),
        (401, ConfigurationError),
    ],
)
def test_a_head_that_is_not_alive_or_turns_us_away_is_told(
    answer: httpx.Response | Exception | int, expected: type[MlopsError]
) -> None:
    ray = FakeRay()
    ray.fail = [answer]
    with pytest.raises(expected):
        ray.rest().ping(2)


@pytest.mark.parametrize("answer", [httpx.Response(200, text="success"), 404])
def test_a_head_that_is_alive_needs_no_json_for_that_nor_one_that_cannot_be_asked(answer: httpx.Response | int) -> None:
    ray = FakeRay()
    ray.fail = [answer]
    ray.rest().ping(2)
    assert ray.requests == [("GET", "/api/gcs_healthz")]
