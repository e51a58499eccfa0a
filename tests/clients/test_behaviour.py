"""What every client does, in each language, against a real server behind a network with faults."""

import asyncio
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import AWKWARD, Product
from tests.clients.driving import Driver, Phone
from tests.clients.network import Network
from tests.scenes import opened, until

Start = Callable[..., Phone]
VALUES = {"color-0", "color-1"}
AT_ONCE = 0.05


def wait(condition: Callable[[], object]) -> None:
    asyncio.run(until(condition))


def fill(phone: Phone, full: bool) -> None:
    """No file can grow on a full disk."""
    limits = resource.RLIM_INFINITY if not full else 0, resource.RLIM_INFINITY
    resource.prlimit(phone.driver.process.pid, resource.RLIMIT_FSIZE, limits)


def names(product: Product, token: str) -> list[str]:
    return [name for name, *_ in product.events(token)]


def test_a_device_keeps_its_token_and_its_values(phone: Start, net: Network) -> None:
    first = phone()
    value, token = first.value(), first.state["token"]
    assert value in VALUES
    assert (first.value("sure"), first.value("nothing", "mine")) == ("sure-0", "mine")
    assert net.requests[0].path == "/api/v1/experiments?platform=test"
    first.driver.kill()
    net.down()
    again = phone()  # which would wait for 20 seconds if it had no values
    assert (again.value(), again.state["token"]) == (value, token)


def test_any_text_is_a_value(phone: Start, net: Network, product: Product) -> None:
    first = phone()
    first.shown(AWKWARD, key="awkward")
    assert (first.value("awkward"), first.flush()) == (AWKWARD, True)
    assert product.events(first.state["token"])[0][3] == AWKWARD
    first.driver.kill()
    net.down()
    assert phone().value("awkward") == AWKWARD


def test_a_first_start_without_a_server_goes_on_with_the_defaults(
    phone: Start, net: Network, product: Product
) -> None:
    net.down()
    first = phone(timeout=AT_ONCE)
    assert first.value(default="mine") == "mine"
    first.shown("mine")
    net.up()
    assert first.flush()
    token = first.state["token"]
    assert [event[:4] for event in product.events(token)] == [("exposure", None, "color", "mine")]
    assert first.value(default="mine") == "mine"  # although there is an answer by now
    first.driver.kill()
    assert phone().value() in VALUES


def test_a_server_that_is_busy_is_left_alone_as_long_as_it_says(phone: Start, net: Network) -> None:
    net.faults = {"GET": "busy"}
    first = phone(timeout=AT_ONCE)
    wait(lambda: len(net.requests) == 2)
    assert net.requests[1].at - net.requests[0].at >= 1
    assert first.value() == "default"
    net.faults = {}
    first.track()
    assert first.flush()
    first.driver.kill()
    assert phone().value() in VALUES


def test_a_slow_answer_is_for_the_next_start(phone: Start, net: Network) -> None:
    net.faults = {"GET": "slow"}
    first = phone(timeout=AT_ONCE)  # it returns, although the answer is held back
    assert first.value() == "default"
    net.go_on.set()
    first.track()
    assert first.flush()  # events are sent after the answer came
    assert first.value() == "default"
    first.do("restart")
    assert first.value() in VALUES


@pytest.mark.parametrize("fault", ["half", "portal", "foreign", "moved", "lost"])
def test_an_answer_that_is_none_changes_nothing(phone: Start, net: Network, fault: str) -> None:
    net.faults = {"GET": fault}
    first = phone(timeout=AT_ONCE)
    wait(lambda: len(net.of("GET")) > 1)
    assert first.value() == "default"
    net.faults = {}
    first.track()
    assert first.flush()
    first.driver.kill()
    net.faults = {"GET": fault}
    second = phone()
    assert second.value() in VALUES
    wait(lambda: len(net.of("GET")) > 3)
    assert {each.path for each in net.of("GET")} == {"/api/v1/experiments?platform=test"}


def test_an_event_is_stored_once_though_the_phone_died_before_the_confirmation(
    phone: Start, net: Network, product: Product
) -> None:
    first = phone()
    net.faults = {"POST": "slow"}
    first.track("purchase", amount="9.99")
    token = first.state["token"]
    wait(lambda: product.events(token))
    first.driver.kill()
    net.faults = {}
    again = phone()
    assert again.flush()
    assert [event[:2] for event in product.events(token)] == [("purchase", 99_900)]
    assert net.of("POST")[0].events == net.of("POST")[-1].events
    assert not list(again.folder.glob("events-*"))


def test_a_full_disk_takes_nothing_from_a_device_that_is_known(phone: Start, net: Network, product: Product) -> None:
    first = phone()
    token, value = first.state["token"], first.value()
    fill(first, True)
    first.track("while_full")
    assert first.flush()
    net.down()
    first.track("later")
    fill(first, False)
    wait(lambda: any("later" in file.read_text() for file in first.folder.glob("events-*")))
    first.driver.kill()
    net.up()
    again = phone()
    assert again.flush()
    assert (again.value(), names(product, token)) == (value, ["while_full", "later"])


def test_a_device_that_can_not_keep_its_token_is_not_asked_for(
    driver: Callable[[], Driver], net: Network, tmp_path: Path
) -> None:
    """It would be another device at the next start, with other values."""
    one = Phone(driver(), net.url, tmp_path / "one")
    fill(one, True)
    other = Phone(one.driver, net.url, tmp_path / "other", timeout=0.3)
    assert (other.value(), other.state["token"]) == ("default", "")
    other.track()
    assert {each.token for each in net.requests} == {one.state["token"]}
    fill(one, False)
    assert other.flush()
    assert other.state["token"] != one.state["token"] != ""


def test_ten_thousand_events_wait_and_the_oldest_are_dropped(phone: Start, net: Network, product: Product) -> None:
    first = phone()
    net.down()
    first.track("first")
    first.track("more", times=9_998)
    first.track("last")
    assert first.state["queued"] == "10000"
    first.track("too_many")
    state = first.state
    token, dropped = state["token"], int(state["dropped"])
    assert 1 <= dropped <= 100
    assert int(state["queued"]) == 10_001 - dropped
    first.driver.kill()
    net.up()
    again = phone()
    assert again.flush()
    sent = product.events(token)
    assert (len(sent), sent[-2][0], sent[-1][0]) == (10_001 - dropped, "last", "too_many")
    requests = net.of("POST")
    assert len(requests) < 40
    assert all(len(each.body) <= 64 * 1024 and len(each.events) <= 500 for each in requests)


def test_two_processes_on_one_folder_are_one_device_and_lose_nothing(
    driver: Callable[[], Driver], net: Network, product: Product, tmp_path: Path
) -> None:
    drivers = [driver(), driver()]
    folder = tmp_path / "phone"
    for place, each in enumerate(drivers):
        each.send("phone", "start", url=net.url, folder=folder, timeout=20, send_every=20, pause=0.1)
        each.send("phone", "track", name=f"from_{place}", times=150)
    for each in drivers:
        each.answer()
    tokens = {each.answer()["token"] for each in drivers}
    (token,) = tokens
    third = Phone(driver(), net.url, folder)  # takes over what the others have not sent
    drivers[0].send("phone", "track", name="from_0", times=10)
    drivers[0].answer()
    drivers[0].kill()
    drivers[1].send("phone", "flush", seconds=20)
    assert drivers[1].answer() == {"done": "true"}
    assert third.flush()
    last = Phone(driver(), net.url, folder)
    assert last.flush()
    sent = names(product, token)
    assert (sent.count("from_0"), sent.count("from_1"), len(sent)) == (160, 150, 310)


def test_an_exposure_is_reported_once_in_each_start(phone: Start, product: Product) -> None:
    first = phone()
    for value in ("sure-0", "sure-0", "mine"):
        first.shown(value, key="sure")
    first.shown("mine", key="nothing")  # the device is not in it
    assert first.flush()
    token = first.state["token"]
    first.driver.kill()
    second = phone()
    second.shown("sure-0", key="sure")
    assert second.flush()
    assert [event[:4] for event in product.events(token)] == 2 * [("exposure", None, "sure", "sure-0")]


def test_a_device_that_the_server_does_not_know_asks_before_it_sends(
    phone: Start, net: Network, product: Product
) -> None:
    first = phone()
    token = first.state["token"]

    async def forget() -> None:
        async with opened(product.database) as store:
            assert await store.forget([token]) == 1

    asyncio.run(forget())
    first.track()
    assert first.flush()
    assert [each.method for each in net.requests] == len(net.of("GET")) * ["GET", "POST"]
    assert names(product, token) == ["purchase"]


def test_an_event_that_the_server_never_takes_stops_no_other(phone: Start, net: Network, product: Product) -> None:
    first = phone(send_every=20.0)
    first.track("before", times=20)
    first.track("Not A Name")
    first.track("after", times=20)
    assert first.flush()
    state = first.state
    assert (state["queued"], state["rejected"], state["dropped"]) == ("0", "1", "0")
    assert names(product, state["token"]) == 20 * ["before"] + 20 * ["after"]
    assert len(net.of("POST")) < 20


def test_what_is_damaged_is_left_out(phone: Start, net: Network, product: Product) -> None:
    first = phone(send_every=20.0)
    net.down()
    first.track(times=3)
    first.driver.kill()
    (events,) = first.folder.glob("events-*")
    lines = events.read_text().splitlines()
    events.write_text("\n".join([lines[0], lines[1][:30], lines[2]]))
    net.up()
    second = phone()
    assert second.flush()
    token = second.state["token"]
    assert names(product, token) == ["purchase", "purchase"]
    second.driver.kill()
    (first.folder / "device").write_text('{"token":')
    third = phone()
    assert third.value() in VALUES
    assert third.state["token"] not in {"", token}


@pytest.mark.parametrize("text", ["", '{"id":'])
def test_a_file_of_events_without_one_holds_nothing_up(phone: Start, net: Network, text: str) -> None:
    first = phone()
    first.driver.kill()  # while it began a file
    (first.folder / "events-1").write_text(text)
    second = phone()
    assert second.flush(AT_ONCE)
    assert list(first.folder.glob("events-*")) == []
    second.track()
    assert second.flush()
    assert (len(net.of("POST")), second.state["rejected"]) == (1, "0")


def test_an_app_of_the_server_is_a_part_of_its_url(phone: Start, product: Product) -> None:
    first = phone("/apps/staging/")
    assert (first.value("staged"), first.value("color", "mine")) == ("staged-0", "mine")
    first.shown("staged-0", key="staged")
    assert first.flush()
    assert [event[:4] for event in product.events(f"2 {first.state['token']}")] == [
        ("exposure", None, "staged", "staged-0")
    ]
