"""What the doctor finds is so in a real Envoy, and ends with the fix."""

import http.client
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.client import Answer, get
from e2e.trial import HEALTHY, Trial, patient, patiently, until
from meshtrial.demo.envoy import Envoy
from meshtrial.demo.envoy import envoy as run_envoy
from meshtrial.doctor.examine import document, examine
from meshtrial.plan.load import load
from meshtrial.plan.needs import needs_of
from plan_texts import RANK

_BEGIN = RANK.index("  rank-v2:")
BY_REQUEST = (
    RANK[_BEGIN:]
    .replace("rank-v2", "complete")
    .replace("/recommend", "/complete")
    .replace("{header: x-user-id}", "{request: true}")
)
PLAN = RANK + BY_REQUEST
"""Users at /recommend, and requests at /complete."""
NEEDS = needs_of(load(PLAN, "plan.yaml"))
IN_V2, IN_V1 = "user-2", "user-1"
"""md5 of `rank-v2:user-2` modulo 100 is 35, of `rank-v2:user-1` it is 61; v2 owns 0 to 49."""
IDS_IN_V2 = [f"mine-{number}" for number in (0, 1, 2, 4, 5, 6, 7, 8, 10, 12)]
"""md5 of `complete:mine-0` and so on modulo 100 is below 50 for each."""


@dataclass(frozen=True, slots=True)
class Shared:
    """One sidecar and its models, for many Envoys."""

    running: Trial
    emitted: str

    @contextmanager
    def envoy(self, configuration: str, alive: bool = True) -> Iterator[Envoy]:
        """Another Envoy beside the same sidecar, or beside none."""
        if not alive:
            pipe = f"path: {self.running.directory / 's'}\n"
            assert configuration.count(pipe) == 1
            configuration = configuration.replace(pipe, pipe.replace("/s\n", "/nobody\n"))
        directory = Path(tempfile.mkdtemp(prefix="mt-"))
        try:
            with run_envoy(patiently(configuration), directory) as envoy:
                if alive:
                    until(lambda: envoy.stats(HEALTHY).get(HEALTHY) == 1)
                yield envoy
        finally:
            shutil.rmtree(directory)


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    texts: list[str] = []

    def kept(text: str) -> str:
        texts.append(text)
        return text

    with patient(PLAN, adapt=kept) as running:
        yield Shared(running, texts[0])


def replaced(old: str, new: str) -> Callable[[str], str]:
    """An edit of an emitted configuration, which finds its place or fails."""

    def edit(text: str) -> str:
        assert len(re.findall(old, text)) >= 1, old
        return re.sub(old, new, text)

    return edit


def found(configuration: str) -> list[str]:
    """The checks that find something."""
    return [f.check.id for f in examine([document("envoy.yaml", configuration)], NEEDS)]


def ask(envoy: Envoy, user: str, *headers: tuple[str, str]) -> Answer:
    return get(envoy.listeners[0], "/recommend", [("x-user-id", user), *headers])


def models(envoy: Envoy) -> tuple[str, str]:
    """Where a user of v2 and one of v1 get to."""
    return ask(envoy, IN_V2).model, ask(envoy, IN_V1).model


def test_the_doctor_is_content_with_what_is_emitted_and_envoy_routes_by_it(shared: Shared) -> None:
    assert found(shared.emitted) == []
    assert models(shared.running.envoy) == ("model-v2", "model-v1")


def test_without_the_early_strip_a_client_picks_its_model_while_the_sidecar_is_dead(shared: Shared) -> None:
    unsafe = replaced(r" +- remove_on_match:\n( +key_matcher:\n)( +prefix.*\n)( +ignore_case.*\n)", "")(
        shared.emitted
    )
    forged = ("x-meshtrial-cluster", "model-v2")

    assert found(unsafe) == ["strip-missing"]
    with shared.envoy(unsafe, alive=False) as envoy:
        assert ask(envoy, IN_V1, forged).model == "model-v2"
    with shared.envoy(shared.emitted, alive=False) as envoy:
        assert ask(envoy, IN_V1, forged).model == "model-v1"


def test_a_kept_route_never_changes(shared: Shared) -> None:
    kept = replaced("route_cache_action: CLEAR", "route_cache_action: RETAIN")(shared.emitted)

    assert found(kept) == ["route-kept"]
    with shared.envoy(kept) as envoy:
        assert models(envoy) == ("model-v1", "model-v1")


def test_the_default_cache_action_obeys_the_answer_which_asks_for_a_new_route(shared: Shared) -> None:
    default = replaced(" +route_cache_action: CLEAR\n", "")(shared.emitted)

    assert found(default) == []
    with shared.envoy(default) as envoy:
        assert models(envoy) == ("model-v2", "model-v1")


def test_without_the_units_header_everybody_goes_to_control(shared: Shared) -> None:
    blind = replaced(" +- exact: x-user-id\n", "")(shared.emitted)

    assert found(blind) == ["header-hidden"]
    with shared.envoy(blind) as envoy:
        assert models(envoy) == ("model-v1", "model-v1")


def test_mutation_rules_that_drop_the_answer_leave_everybody_in_control(shared: Shared) -> None:
    dropping = replaced(r"regex: \^\(.*", "regex: ^(x-model-version|x-baseline)$")(shared.emitted)

    assert set(found(dropping)) == {"answer-dropped"}
    with shared.envoy(dropping) as envoy:
        assert models(envoy) == ("model-v1", "model-v1")


def test_an_unguarded_cluster_header_is_503_while_the_sidecar_is_dead(shared: Shared) -> None:
    match = r"( +)headers:\n +- name: x-meshtrial-cluster\n +string_match:\n +exact: model-v2\n"
    route = r"( +)cluster: model-v2\n"
    unguarded = replaced(route, r"\1cluster_header: x-meshtrial-cluster\n")(
        replaced(match, "")(shared.emitted)
    )
    guard = r"\1headers:\n\1- name: x-meshtrial-cluster\n\1  present_match: true\n"
    guarded = replaced(route, r"\1cluster_header: x-meshtrial-cluster\n")(
        replaced(match, guard)(shared.emitted)
    )

    assert found(unguarded) == ["guard-missing"] * 2  # one for each experiment
    with shared.envoy(unguarded, alive=False) as envoy:
        assert ask(envoy, IN_V2).status == 503
    assert found(guarded) == []
    with shared.envoy(guarded, alive=False) as envoy:
        assert models(envoy) == ("model-v1", "model-v1")
    with shared.envoy(guarded) as envoy:
        assert models(envoy) == ("model-v2", "model-v1")


def test_fail_closed_is_500_while_the_sidecar_is_dead(shared: Shared) -> None:
    closed = replaced("failure_mode_allow: true", "failure_mode_allow: false")(shared.emitted)

    assert found(closed) == ["fail-closed"]
    with shared.envoy(closed, alive=False) as envoy:
        assert ask(envoy, IN_V2).status == 500
    with shared.envoy(shared.emitted, alive=False) as envoy:
        assert models(envoy) == ("model-v1", "model-v1")


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        (
            "( +)use_remote_address: true\n",
            r"\g<0>\1preserve_external_request_id: true\n",
            "request-id-chosen",
        ),
        (" +use_remote_address: true\n", "", "request-id-trusted"),
    ],
)
def test_a_client_that_chooses_its_request_id_chooses_its_arm(
    shared: Shared, old: str, new: str, check: str
) -> None:
    trusting = replaced(old, new)(shared.emitted)

    assert found(trusting) == [check]
    with shared.envoy(trusting) as envoy:
        answers = [get(envoy.listeners[0], "/complete", [("x-request-id", mine)]) for mine in IDS_IN_V2]
    assert [answer.header("x-request-id") for answer in answers] == IDS_IN_V2
    assert {answer.model for answer in answers} == {"model-v2"}
    answers = [get(shared.running.proxy, "/complete", [("x-request-id", mine)]) for mine in IDS_IN_V2]
    assert not set(IDS_IN_V2) & {answer.header("x-request-id") for answer in answers}


def test_what_runs_is_judged_as_its_file_is(shared: Shared) -> None:
    broken = replaced("failure_mode_allow: true", "failure_mode_allow: false")(shared.emitted)
    broken = replaced(" +- exact: x-user-id\n", "")(broken)

    with shared.envoy(broken, alive=False) as envoy:
        connection = http.client.HTTPConnection(envoy.admin, timeout=10)
        connection.request("GET", "/config_dump?include_eds")
        dump = connection.getresponse().read().decode()
        connection.close()

    kinds = [config["@type"] for config in json.loads(dump)["configs"]]
    of_file = examine([document("envoy.yaml", patiently(broken))], NEEDS)
    of_dump = examine([document("dump.json", dump)], NEEDS)
    assert sorted((f.check.id, f.message) for f in of_dump) == sorted(
        (f.check.id, f.message) for f in of_file
    )
    assert {f.check.id for f in of_dump} == {"fail-closed", "header-hidden", "timeout-long"}
    assert all("ListenersConfigDump" in kinds[int(f.place.path[10])] for f in of_dump)
