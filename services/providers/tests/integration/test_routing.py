"""Routing over real providers: failing ones, slow ones, operators' wishes, tables of countries, and why."""

from collections import Counter
from collections.abc import Iterator

import pytest
from notify.common.v1 import common_pb2
from notify.providers.v1 import dispatch_service_pb2
from notify.providers.v1 import provider_settings_service_pb2 as pb
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify.providers.v1.provider_settings_service_pb2_grpc import ProviderSettingsServiceStub
from notify_common.errors import NotifyError
from notify_providers import bootstrap
from notify_providers.clients.firetext import FiretextSettings
from notify_providers.clients.mmg import MmgSettings
from notify_providers.usecases.balance import balance_shares
from notify_testing.rpc import InProcessServer

from . import fake_mmg
from .configured import provider_settings
from .conftest import Workers, World, eventually
from .fake_firetext import FakeFiretext
from .fake_mmg import FakeMmg
from .messages import SERVICE_ID, sms
from .test_receipts import record

NUMBER = "447700900123"
BOTH = {"mmg", "firetext"}


@pytest.fixture
def firetext() -> Iterator[FakeFiretext]:
    """Provide a stand-in for Firetext over HTTP."""
    fake = FakeFiretext()
    yield fake
    fake.close()


def through_both(mmg: FakeMmg, firetext: FakeFiretext) -> dict[str, object]:
    """Return settings that make workers share texts between MMG and Firetext."""
    settings = provider_settings(
        mmg=MmgSettings.model_validate({"url": mmg.url, "api_key": "key"}),
        firetext=FiretextSettings.model_validate({"url": firetext.url, "api_key": "key"}),
    )
    return {"providers": settings, "sandbox_live_messages": False, "health_least_calls": 5}


def stub_of(server: InProcessServer) -> ProviderSettingsServiceStub:
    """Return what an operator calls."""
    return ProviderSettingsServiceStub(server.channel("operator"))


def change(server: InProcessServer, name: str, reason: str = "", **values: object) -> pb.Provider:
    """Change settings of a provider as an operator does."""
    stub = stub_of(server)
    [provider] = [p for p in stub.ListProviders(pb.ListProvidersRequest()).providers if p.name == name]
    wanted = pb.Provider(name=name, version=provider.version, **values)  # type: ignore[arg-type]
    request = pb.UpdateProviderRequest(provider=wanted, update_mask={"paths": list(values)}, reason=reason)
    changed: pb.Provider = stub.UpdateProvider(request).provider
    return changed


def choices(world: World) -> Counter[tuple[str, str]]:
    """Return how often which provider was chosen, and why."""
    return Counter((p, why) for p, why in world.rows("SELECT provider, choice FROM attempts"))


def found(world: World, provider: str) -> str:
    """Return how a provider was found to do."""
    rows = world.rows("SELECT condition FROM provider_health WHERE provider = :name", name=provider)
    return str(rows[0][0]) if rows else ""


def test_the_first_retry_goes_at_once_to_who_has_not_turned_it_away(
    world: World, mmg: FakeMmg, firetext: FakeFiretext, server: InProcessServer
) -> None:
    message = sms()
    mmg.script(NUMBER, fake_mmg.BUSY)
    change(server, "mmg", mode=pb.Provider.MODE_PINNED)
    world.take_over(message)
    workers = world.workers(world.parts(**through_both(mmg, firetext), retry_interval_seconds=300))
    workers.step()
    change(server, "mmg", mode=pb.Provider.MODE_SHARED, priority=100)
    workers.settle()
    assert mmg.ids == firetext.ids == [message.id]
    stub = DispatchServiceStub(server.channel("operator"))
    request = dispatch_service_pb2.GetDispatchRequest(service_id=SERVICE_ID, dispatch_id=message.id)
    attempts = [(a.provider, a.choice) for a in stub.GetDispatch(request).attempts]
    assert attempts == [("mmg", "pinned"), ("firetext", "other-turned-away")]


def test_what_a_provider_may_have_is_not_given_to_another(
    world: World, mmg: FakeMmg, firetext: FakeFiretext, server: InProcessServer
) -> None:
    message = sms()
    mmg.script(NUMBER, fake_mmg.CLOSE, fake_mmg.BUSY)
    change(server, "mmg", mode=pb.Provider.MODE_PINNED)
    world.send_again_at_once("mmg")
    world.take_over(message)
    workers = world.workers(world.parts(**through_both(mmg, firetext)))
    workers.step()
    change(server, "mmg", mode=pb.Provider.MODE_DRAINED)
    workers.settle()
    assert mmg.ids == [message.id] * 3
    assert firetext.ids == []
    assert choices(world) == {("mmg", "pinned"): 1, ("mmg", "may-have-it"): 2}


def fail(world: World, workers: Workers, mmg: FakeMmg, how: str = fake_mmg.BUSY) -> None:
    """Hand texts over while MMG fails, until that is found; then it is well again, and no probe is due."""
    mmg.script(NUMBER, *[how] * 1_000)

    def reached() -> bool:
        world.take_over(sms())
        workers.settle()
        return found(world, "mmg") == "failing"

    eventually(reached)
    mmg.forget(NUMBER)
    world.run("UPDATE provider_health SET probe_at = now() + interval '1 hour'")


def probe(world: World, workers: Workers) -> None:
    """Let a probe of MMG be due, and one of the messages be it."""
    world.run("UPDATE provider_health SET probe_at = now()")
    workers.settle()


def recover(world: World, workers: Workers) -> None:
    """Let probe after probe be due until MMG is found healthy."""

    def reached() -> bool:
        world.take_over(sms())
        probe(world, workers)
        return found(world, "mmg") == "healthy"

    eventually(reached)


def test_who_fails_is_left_out_until_probes_go_well(
    world: World, mmg: FakeMmg, firetext: FakeFiretext
) -> None:
    parts = world.parts(**through_both(mmg, firetext), retry_interval_seconds=300)
    workers = world.workers(parts, "dispatch")
    fail(world, workers, mmg)
    assert world.states() == {"sent": len(firetext.messages)}, "each went to the other at once"
    before, probes = len(mmg.messages), choices(world)["mmg", "probe"]
    world.take_over(*[sms() for _ in range(20)])
    workers.settle()
    assert len(mmg.messages) == before, "no probe is due"
    world.take_over(*[sms() for _ in range(20)])
    probe(world, workers)
    assert choices(world)["mmg", "probe"] == probes + 1, "one message shows how it does"
    assert len(mmg.messages) == before + 1
    recover(world, workers)
    world.take_over(*[sms() for _ in range(40)])
    workers.settle()
    assert len(mmg.messages) > before + 3
    assert set(world.states()) == {"sent"}


@pytest.mark.parametrize("how", [fake_mmg.BUSY, fake_mmg.CLOSE])
def test_where_all_fail_messages_wait_and_none_is_lost_or_doubled(
    world: World, mmg: FakeMmg, how: str
) -> None:
    world.send_again_at_once("mmg")
    parts = world.parts(**mmg.settings, health_least_calls=5, retry_interval_seconds=300)
    workers = world.workers(parts, "dispatch")
    fail(world, workers, mmg, how)
    before = len(mmg.messages)
    world.take_over(*[sms() for _ in range(10)])
    world.run("UPDATE dispatches SET due_at = now() WHERE due_at IS NOT NULL")
    workers.settle()
    assert len(mmg.messages) == before, "neither new ones nor those that it was called for"
    assert set(world.states()) == {"queued"}
    probe(world, workers)
    assert len(mmg.messages) == before, "no message is due, so that there is none to probe with"
    world.take_over(*[sms() for _ in range(10)])
    probe(world, workers)
    assert len(mmg.messages) == before + 1, "one probe, whatever waits"
    recover(world, workers)
    world.run("UPDATE dispatches SET due_at = now() WHERE due_at IS NOT NULL")
    workers.settle()
    assert set(world.states()) == {"sent"}
    assert sorted(mmg.ids[before:]) == sorted(id for (id,) in world.rows("SELECT id::text FROM dispatches"))


def test_who_hangs_is_slow_before_its_calls_end(
    world: World, mmg: FakeMmg, firetext: FakeFiretext, server: InProcessServer
) -> None:
    mmg.script(NUMBER, *[fake_mmg.HANG] * 6)
    change(server, "mmg", mode=pb.Provider.MODE_PINNED)
    world.take_over(*[sms() for _ in range(6)])
    parts = world.parts(**through_both(mmg, firetext), provider_timeout_seconds=25)
    with world.workers(parts, "dispatch").running():
        eventually(lambda: mmg.hanging == 6)
        change(server, "mmg", mode=pb.Provider.MODE_SHARED)
        eventually(lambda: found(world, "mmg") == "slow")
        listed = stub_of(server).ListProviders(pb.ListProvidersRequest()).providers
        assert {p.name for p in listed if p.condition == pb.Provider.CONDITION_SLOW} == {"mmg"}
        world.take_over(*[sms() for _ in range(20)])
        eventually(lambda: len(firetext.messages) >= 19)
        mmg.release()
        eventually(lambda: world.states() == {"sent": 26})
    assert len(mmg.messages) <= 7, "one more at most, as a probe"


def test_texts_abroad_go_by_the_table_of_the_country(
    world: World, mmg: FakeMmg, firetext: FakeFiretext, server: InProcessServer
) -> None:
    stub = stub_of(server)
    france = pb.CountryRoute(prefix="33", weights=[{"provider": "firetext", "weight": 1}])
    for _ in range(2):
        assert stub.SetCountryRoute(pb.SetCountryRouteRequest(route=france)).route == france
    one = pb.CountryRoute(prefix="336", weights=[{"provider": "mmg", "weight": 5}])
    stub.SetCountryRoute(pb.SetCountryRouteRequest(route=one))
    first = stub.ListCountryRoutes(pb.ListCountryRoutesRequest(page_size=1))
    rest = stub.ListCountryRoutes(pb.ListCountryRoutesRequest(page_size=1, page_token=first.next_page_token))
    assert [*first.routes, *rest.routes] == [france, one]
    world.take_over(sms("33712345678", international=True), sms("33612345678", international=True))
    world.workers(world.parts(**through_both(mmg, firetext))).settle()
    assert choices(world) == {("firetext", "country"): 1, ("mmg", "country"): 1}
    assert mmg.messages[0]["MSISDN"] == "33612345678"
    stub.SetCountryRoute(pb.SetCountryRouteRequest(route=pb.CountryRoute(prefix="33")))
    assert [r.prefix for r in stub.ListCountryRoutes(pb.ListCountryRoutesRequest()).routes] == ["336"]


@pytest.mark.parametrize(
    ("prefix", "names", "reason"),
    [
        ("+33", ["mmg"], "INVALID_FIELD"),
        ("", ["mmg"], "INVALID_FIELD"),
        ("33", ["mmg", "mmg"], "INVALID_FIELD"),
        ("33", ["smtp"], "PROVIDER_NOT_FOUND"),
        ("33", ["pigeon"], "PROVIDER_NOT_FOUND"),
    ],
)
def test_a_wrong_table_is_refused(
    world: World, server: InProcessServer, prefix: str, names: list[str], reason: str
) -> None:
    route = pb.CountryRoute(prefix=prefix, weights=[{"provider": name, "weight": 1} for name in names])
    with pytest.raises(NotifyError) as caught:
        stub_of(server).SetCountryRoute(pb.SetCountryRouteRequest(route=route))
    assert caught.value.reason == reason
    assert world.value("SELECT count(*) FROM country_routes") == 0


def test_a_simulation_says_what_each_provider_would_get_and_why(
    world: World, mmg: FakeMmg, firetext: FakeFiretext
) -> None:
    parts = bootstrap.Parts(world.settings(**through_both(mmg, firetext)), connections=4)
    world.made.append(parts)
    with InProcessServer("providers", bootstrap.registrations(parts)) as server:

        def simulate(**values: object) -> tuple[dict[str, str | int], str]:
            request = pb.SimulateRoutingRequest(
                channel=common_pb2.CHANNEL_SMS,
                **{"key_type": common_pb2.KEY_TYPE_NORMAL, **values},  # type: ignore[arg-type]
            )
            answer = stub_of(server).SimulateRouting(request)
            return {c.provider: c.unfit or c.chance_ppm for c in answer.candidates}, answer.choice

        change(server, "firetext", priority=25)
        change(server, "mmg", priority=75)
        no = "not-configured"
        absent = {"aws-sms": no, "twilio": no}
        assert simulate() == ({"firetext": 250_000, "mmg": 750_000, "sandbox-sms": no, **absent}, "share")
        turned, why = simulate(turned_away_by="mmg")
        assert (turned["mmg"], turned["firetext"], why) == ("turned-away", 1_000_000, "other-turned-away")
        test, why = simulate(key_type=common_pb2.KEY_TYPE_TEST)
        assert (test["sandbox-sms"], test["mmg"], why) == (1_000_000, "test-key", "test-key")
        change(server, "mmg", active=False)
        change(server, "firetext", mode=pb.Provider.MODE_DRAINED)
        nobody, why = simulate()
        assert (nobody["mmg"], nobody["firetext"], why) == ("paused", "drained", "")


def test_changes_are_kept_with_their_reasons(world: World, server: InProcessServer) -> None:
    change(server, "mmg", "Maintenance, ticket 7", active=False)
    change(server, "mmg", "Done", active=True, priority=60)
    stub = stub_of(server)
    first = stub.ListProviderVersions(pb.ListProviderVersionsRequest(provider="mmg", page_size=1))
    again = pb.ListProviderVersionsRequest(provider="mmg", page_size=1, page_token=first.next_page_token)
    rest = stub.ListProviderVersions(again)
    versions = [(v.changed_by, v.reason, v.active, v.priority) for v in [*first.versions, *rest.versions]]
    assert versions == [
        ("operator", "Done", True, 60),
        ("operator", "Maintenance, ticket 7", False, 100),
    ]
    assert rest.next_page_token == ""
    with pytest.raises(NotifyError) as caught:
        stub.ListProviderVersions(pb.ListProviderVersionsRequest(provider="pigeon"))
    assert caught.value.reason == "PROVIDER_NOT_FOUND"


def shares(world: World) -> dict[str, float | None]:
    """Return the shares of both providers."""
    rows = world.rows("SELECT name, share FROM provider_settings WHERE name IN ('mmg', 'firetext')")
    return dict(rows)


def later(world: World, seconds: int) -> None:
    """Let time pass for what is known of changes of shares."""
    world.run("UPDATE provider_changes SET create_time = create_time - :s * interval '1 second'", s=seconds)


def test_many_errors_move_ten_points_a_minute_and_they_come_back(
    world: World, server: InProcessServer
) -> None:
    change(server, "mmg", priority=51)
    change(server, "firetext", priority=49)
    failed = "INSERT INTO provider_calls VALUES ('mmg', date_bin('5 s', now(), 'epoch'), 60, :n, 0)"
    world.run(failed, n=50)
    later(world, 61)
    assert balance_shares(world.uow, BOTH) == 0, "50 in a minute are not many"
    world.run("UPDATE provider_calls SET failed = 51")
    assert balance_shares(world.uow, BOTH) == 2
    assert shares(world) == {"mmg": 41.0, "firetext": 59.0}
    assert balance_shares(world.uow, BOTH) == 0, "shares have just changed"
    later(world, 61)
    assert balance_shares(world.uow, BOTH) == 2
    assert shares(world) == {"mmg": 31.0, "firetext": 69.0}
    [change_, *_] = (
        stub_of(server).ListProviderVersions(pb.ListProviderVersionsRequest(provider="mmg")).versions
    )
    assert (change_.changed_by, change_.reason, change_.share_ppm) == ("routing", "errors: mmg", 310_000)
    world.run("DELETE FROM provider_calls")
    for expected in ({"mmg": 41.0, "firetext": 59.0}, {"mmg": None, "firetext": None}):
        later(world, 899)
        assert balance_shares(world.uow, BOTH) == 0
        later(world, 1)
        assert balance_shares(world.uow, BOTH) == 2
        assert shares(world) == expected
    later(world, 1_000)
    assert balance_shares(world.uow, BOTH) == 0, "nothing is left to do"


def test_late_receipts_move_ten_points(
    world: World, mmg: FakeMmg, firetext: FakeFiretext, server: InProcessServer
) -> None:
    texts = [sms() for _ in range(40)]
    world.take_over(*texts)
    world.workers(world.parts(**through_both(mmg, firetext))).settle()
    for id in mmg.ids:
        assert record(server, id, "3")
    assert balance_shares(world.uow, BOTH) == 0, "too young to be judged"
    for column in ("start_time", "end_time"):
        world.run(f"UPDATE attempts SET {column} = {column} - interval '400 s'")
    world.run("UPDATE receipts SET receive_time = receive_time - interval '399 s'")
    assert balance_shares(world.uow, BOTH) == 2
    assert shares(world) == {"mmg": 60.0, "firetext": 40.0}


def test_an_operators_change_puts_shares_at_rest(world: World, server: InProcessServer) -> None:
    change(server, "mmg", priority=50)
    change(server, "firetext", priority=50)
    world.run("UPDATE provider_settings SET share = 10 WHERE name = 'mmg'")
    world.run("UPDATE provider_settings SET share = 90 WHERE name = 'firetext'")
    assert change(server, "firetext", mode=pb.Provider.MODE_PINNED).mode == pb.Provider.MODE_PINNED
    assert shares(world) == {"mmg": None, "firetext": None}
    with pytest.raises(NotifyError) as caught:
        change(server, "mmg", mode=pb.Provider.MODE_UNSPECIFIED)
    assert caught.value.reason == "INVALID_FIELD"
