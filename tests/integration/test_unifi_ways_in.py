from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from exporter.demo.controller import DemoController
from exporter.demo.faults import Fault
from exporter.demo.network import Network
from exporter.demo.sessions import WAYS, Flavour
from exporter.sources.unifi.logins import Account, Logins
from exporter.sources.unifi.session import _claimed
from tests.consoles import MAC, NAS, Connect, connections, controller, failure, keys, paths

FLAVOURS: tuple[Flavour, ...] = ("os", "legacy")
ALL = [f"{MAC}|wireless", f"{NAS}|wired"]
SITES = "/api/self/sites"
WAIT = "wait a few minutes; if it stays so, restart the application"
LOOK_ELSEWHERE = (
    "wait if it is starting; else check host and port: 443 for a UniFi OS console, 11443 for UniFi OS Server, "
    "8443 for a standalone Network Application"
)
LOCAL_ACCOUNT = "make a local view-only account for the exporter, without two-factor login"
OWN_ADDRESS = "give the controller's own address as `url`"
LIMITED = (
    "the controller limits the logins of this account (HTTP 429); the exporter waits before it tries again; "
    "give it an account that nothing else uses"
)
WRONG = "check that both let you log in to the controller itself, in a browser that does not know you yet"


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    given: Flavour = request.param
    return given


@pytest.fixture
def os_console() -> Iterator[DemoController]:
    with controller("os") as running:
        yield running


@pytest.fixture
def os_connect(os_console: DemoController) -> Iterator[Connect]:
    with connections(os_console) as source:
        yield source


def prefix(console: DemoController) -> str:
    return console.url + console.accounts.way.prefix


# Which flavour it is


def test_either_flavour_is_found_and_polled(console: DemoController, connect: Connect, flavour: Flavour) -> None:
    source = connect()
    assert keys(source.poll()) == ALL
    way = WAYS[flavour]
    assert paths(console)[:4] == ["/", way.prefix + "/api/self", way.login, way.prefix + SITES]
    assert keys(source.poll()) == ALL
    assert paths(console).count("/") == 1
    source.close()
    assert paths(console)[-1] == way.logout
    assert len(console.accounts) == 0


def test_a_page_in_front_does_not_mislead(console: DemoController, connect: Connect) -> None:
    console.front_page = "page"
    assert keys(connect().poll()) == ALL
    assert console.logins == 1


def test_a_login_in_front_is_named(console: DemoController, connect: Connect) -> None:
    console.front_page = "login"
    error = failure(connect())
    assert (error.reason, str(error)) == (
        "protocol",
        f"{console.url}: something in front of the controller wants a login of its own; {OWN_ADDRESS}",
    )
    assert console.logins == 0


def test_what_is_no_controller_is_not_sent_a_password(console: DemoController, connect: Connect) -> None:
    console.fault = "html"
    error = failure(connect())
    assert (error.reason, str(error)) == (
        "protocol",
        f"{console.url}: answers (HTTP 200), but not as a UniFi controller; {LOOK_ELSEWHERE}",
    )
    assert all(request.method == "GET" for request in console.requests)


def test_a_controller_that_becomes_the_other_flavour_is_found_again(network: Network) -> None:
    with controller("legacy", network) as console, connections(console) as connect:
        source = connect()
        source.poll()
        console.become("os")
        words = f"{console.url}/api/self/sites: HTTP 404; the controller may be starting; {WAIT}"
        assert str(failure(source)) == words
        assert keys(source.poll()) == ALL


def test_a_refused_login_makes_it_look_again(network: Network) -> None:
    with controller("legacy", network) as console, connections(console) as connect:
        source = connect()
        source.poll()
        console.become("os")
        console.fault, console.fault_path = "unauthorized", "/api/"
        assert str(failure(source)) == f"{console.url}/api/login: username or password is wrong (HTTP 401); {WRONG}"
        console.fault = ""
        assert keys(source.poll()) == ALL


# API keys


def test_an_api_key_is_for_consoles(os_console: DemoController, os_connect: Connect) -> None:
    assert keys(os_connect(api_key=os_console.api_key).poll()) == ALL
    assert os_console.logins == 0
    assert ["x-api-key" in request.headers for request in os_console.requests][:3] == [False, False, True]


def test_a_standalone_controller_takes_no_api_key(network: Network) -> None:
    with controller("legacy", network) as console, connections(console) as connect:
        error = failure(connect(api_key=console.api_key))
        assert (error.reason, str(error)) == (
            "login",
            f"{console.url}: is a standalone Network Application, which takes no api_key; "
            f"{LOCAL_ACCOUNT}, and write its username and password",
        )
        assert all("x-api-key" not in request.headers for request in console.requests)


def test_a_wrong_api_key(os_console: DemoController, os_connect: Connect) -> None:
    error = failure(os_connect(api_key="not-the-key"))
    assert (error.reason, str(error)) == (
        "login",
        f"{prefix(os_console)}{SITES}: the api_key is not accepted; make a new one on the console itself",
    )


@pytest.mark.parametrize("fault", ["", "forbidden"])
def test_a_key_for_the_integration_api_alone(os_console: DemoController, os_connect: Connect, fault: Fault) -> None:
    os_console.integration_only = True
    os_console.fault, os_console.fault_path = fault, SITES
    error = failure(os_connect(api_key=os_console.api_key))
    assert (error.reason, str(error)) == (
        "forbidden",
        f"{prefix(os_console)}{SITES}: this key reaches only the Integration API, which has no byte counters; "
        "use a local view-only account or a UniFi OS key with Network access",
    )


# Credentials


@pytest.mark.parametrize("status", [400, 401, 403])
def test_wrong_credentials_by_any_status(console: DemoController, connect: Connect, status: int) -> None:
    console.accounts.wrong_status = status
    source = connect(password="hunter2")
    error = failure(source)
    assert (error.reason, str(error)) == (
        "login",
        f"{console.url}{console.accounts.way.login}: username or password is wrong (HTTP {status}); {WRONG}",
    )
    assert console.logins == 1


def test_wrong_credentials_with_success_as_status(network: Network) -> None:
    with controller("legacy", network) as console, connections(console) as connect:
        console.accounts.wrong_status = 200
        assert "username or password is wrong (HTTP 200)" in str(failure(connect(password="hunter2")))


def test_a_second_factor_is_refused_with_the_way_out(console: DemoController, connect: Connect) -> None:
    console.accounts.second_factor = True
    error = failure(connect())
    assert (error.reason, str(error)) == (
        "login",
        f"{console.url}{console.accounts.way.login}: this account asks for a second factor; {LOCAL_ACCOUNT}",
    )
    assert console.logins == 1


# CSRF tokens


def test_every_request_of_a_session_has_the_newest_token(console: DemoController, connect: Connect) -> None:
    source = connect()
    source.poll()
    source.poll()  # the token has moved on in the first poll
    after = [request for request in console.requests if request.path.startswith(console.accounts.way.prefix + "/api/s")]
    assert all(request.headers.get("x-csrf-token") for request in after[1:])
    assert console.logins == 1


def test_a_token_that_is_only_in_the_cookie(os_console: DemoController, os_connect: Connect) -> None:
    os_console.accounts.csrf_header = False
    assert keys(os_connect().poll()) == ALL
    assert os_console.logins == 1


@pytest.mark.parametrize("token", ["", "a.b", "a.!!.c", "a.e30.c", "a.W10.c", "a.eyJjc3JmVG9rZW4iOjF9.c", "é.é.é"])
def test_cookies_that_hold_no_token(token: str) -> None:
    assert _claimed(token) == ""


# Sessions and the login limit


def test_a_session_that_expires_between_polls_takes_one_login(console: DemoController, connect: Connect) -> None:
    source = connect()
    source.poll()
    console.expire_sessions()
    assert keys(source.poll()) == ALL
    assert console.logins == 2


@pytest.mark.parametrize("uses", [1, 2, 3])
def test_a_session_that_expires_in_mid_poll_takes_one_login(
    console: DemoController, connect: Connect, uses: int
) -> None:
    console.accounts.last_for = uses
    source = connect()
    if uses == 1:
        assert str(failure(source)) == (  # it would take a login for each request
            f"{prefix(console)}/api/s/default/stat/sta: the session ends again and again; "
            "give the exporter an account that nothing else uses"
        )
    else:
        assert keys(source.poll()) == ALL
    assert console.logins == 2


def test_sessions_that_are_refused_at_once_are_not_tried_again(console: DemoController, connect: Connect) -> None:
    console.accounts.last = False
    error = failure(connect())
    assert (error.reason, str(error)) == (
        "login",
        f"{prefix(console)}{SITES}: refused right after the login; "
        "check that this account may use the Network application",
    )
    assert console.logins == 1


def test_a_login_limit_is_waited_for_by_all_sources_of_the_account(console: DemoController, connect: Connect) -> None:
    now = [0.0]
    logins = Logins(lambda: now[0])
    console.accounts.limited = True
    first = connect(logins=logins)
    second = connect(logins=logins, url=console.url.upper().replace("HTTPS", "https") + "/")
    words = f"{console.url}{console.accounts.way.login}: {LIMITED}"
    for pause, waited in ((60.0, 0.0), (60.0, 0.0), (20.0, 40.0)):
        now[0] += waited
        for source in (first, second):
            error = failure(source)
            assert (error.reason, str(error), error.retry_after) == ("rate_limited", words, pause)
    assert console.logins == 1
    now[0] += 20
    assert failure(second).retry_after == 120  # twice as long each time
    assert console.logins == 2
    console.accounts.limited = False
    now[0] += 120
    assert keys(first.poll()) == ALL
    assert keys(second.poll()) == ALL


def test_sources_of_one_account_that_start_together_meet_the_limit_once(
    console: DemoController, connect: Connect
) -> None:
    console.accounts.limited = True
    sources = [connect() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert {error.reason for error in pool.map(failure, sources)} == {"rate_limited"}
    assert console.logins == 1


def test_a_turn_that_does_not_come_ends_with_the_deadline(console: DemoController, connect: Connect) -> None:
    logins = Logins()
    with logins.turn(Account.of(console.url, console.username), 1.0):
        error = failure(connect(logins=logins, timeout=0.5))
    assert error.reason == "timeout"
    assert console.logins == 0


@pytest.mark.parametrize(
    ("header", "pause"), [("17", 17), ("-5, or never", 60), ("0", 60), ("86400", 900), ("\u0661", 60), ("9" * 30, 60)]
)
def test_a_limit_that_says_how_long(console: DemoController, connect: Connect, header: str, pause: float) -> None:
    console.accounts.limited = True
    console.accounts.retry_after = header.encode().decode("latin-1")
    assert failure(connect(logins=Logins(lambda: 0.0))).retry_after == pause


def test_pauses_grow_to_an_end_and_begin_anew() -> None:
    logins, account = Logins(lambda: 0.0), Account.of("https://h", "me")
    assert [logins.limited(account, None) for _ in range(6)] == [60, 120, 240, 480, 900, 900]
    logins.worked(account)
    assert logins.pause(account) == 0
    assert logins.limited(account, None) == 60


def test_accounts_are_told_apart() -> None:
    assert Account.of("https://H", "me") == Account.of("https://h.:443/", "me")
    others = ("https://h:8443", "me"), ("https://i", "me"), ("https://h", "you")
    assert all(Account.of(*other) != Account.of("https://h", "me") for other in others)
