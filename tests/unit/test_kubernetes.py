"""`deploy/kubernetes`: valid by Kubernetes' own schemas, true to `settings/`, routes and metrics, and each pod with
what `docs/workers.md` gives its queues and no more."""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.routing import APIRoute

from api import health
from domain import mails
from gateway.calls import SETTLE_SECONDS
from outbound import urls
from settings import Settings, WorkflowWorkerSettings
from tests.support.stack import SECRET
from workflows import options
from workflows.options import LEDGER, MAINTENANCE, MEDIA_QUEUES, PURGE, QUEUES, WEBHOOKS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
BASE, EXAMPLE = FOLDER / "base", FOLDER / "overlays" / "example"
VERSION = "1.36"
"""Of Kubernetes, whose schemas count."""
Object = Mapping[str, Any]

# By name: they have no types.
schemas = importlib.import_module("kubernetes_validate")
validator = importlib.import_module("jsonschema").Draft202012Validator


def _closed(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
QUEUED = ("endpoint", "namespace", "taskQueue", "queueTypes", "targetQueueSize")
TRIGGER = _closed(*QUEUED, **dict.fromkeys(QUEUED, TEXT))
CPU = _closed("value", value={"type": "string", "pattern": "^[0-9]+m$"})
SCALED = _closed(
    *("scaleTargetRef", "triggers", "minReplicaCount", "maxReplicaCount"),
    scaleTargetRef=_closed("name", name=TEXT),
    pollingInterval=COUNT,
    cooldownPeriod=COUNT,
    minReplicaCount=COUNT,
    maxReplicaCount=COUNT,
    fallback=_closed(
        *("failureThreshold", "replicas"),
        failureThreshold=COUNT,
        replicas=COUNT,
        behavior={"enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]},
    ),
    advanced={"type": "object", "additionalProperties": False, "properties": {"horizontalPodAutoscalerConfig": {}}},
    triggers={
        "type": "array",
        "minItems": 1,
        "items": {
            "oneOf": [
                _closed("type", "metadata", type={"const": "temporal"}, metadata=TRIGGER),
                _closed("type", "metricType", "metadata", type={"const": "cpu"}, metricType={}, metadata=CPU),
            ]
        },
    },
)
"""The fields of KEDA's specification that are used here. It comes with no schema of Kubernetes."""


def _read(path: Path) -> list[Any]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


KUSTOMIZATION: dict[str, Any] = _read(BASE / "kustomization.yaml")[0]
OBJECTS: list[Any] = [document for name in KUSTOMIZATION["resources"] for document in _read(BASE / name)]
OF_OVERLAY = [document for path in sorted(EXAMPLE.glob("*.yaml")) for document in _read(path)]


def _of(kind: str) -> dict[str, Any]:
    return {document["metadata"]["name"]: document for document in OBJECTS if document["kind"] == kind}


DEPLOYMENTS = _of("Deployment")
RUNNING = {**DEPLOYMENTS, **_of("Job")}
WORKERS = tuple(name for name in DEPLOYMENTS if name.startswith("worker-"))
CONFIG = {
    generator["name"]: dict(literal.split("=", 1) for literal in generator.get("literals", ()))
    for generator in KUSTOMIZATION["configMapGenerator"]
}
SECRETS = {
    "yout-books": {"YOUT_DATABASE_URL": "postgresql://a:b@c/d", "YOUT_SECRET_KEY": SECRET},
    "yout-owner": {"YOUT_MIGRATION_DATABASE_URL": "postgresql://a:b@c/d"},
    "yout-payload-keys": {"YOUT_TEMPORAL_PAYLOAD_KEYS": SECRET},
    "yout-temporal": {"YOUT_TEMPORAL_API_KEY": SECRET},
    "yout-providers": {},
    "yout-objects": {},
}
"""What docs/production.md says to make first, of our own settings."""


def _pod(name: str) -> Any:
    return RUNNING[name]["spec"]["template"]


def _container(name: str) -> Any:
    (container,) = _pod(name)["spec"]["containers"]
    return container


def _sources(name: str) -> set[str]:
    return {next(iter(source.values()))["name"] for source in _container(name)["envFrom"]}


def _environment(name: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for source in _container(name)["envFrom"]:
        (kind, reference) = next(iter(source.items()))
        given |= (CONFIG if kind == "configMapRef" else SECRETS)[reference["name"]]
    return given | {variable["name"]: variable["value"] for variable in _container(name).get("env", ())}


def _settings(name: str) -> dict[str, Any]:
    return {key[5:].lower(): value for key, value in _environment(name).items() if key.startswith("YOUT_")}


def _queues(name: str) -> set[str]:
    return set(filter(None, _settings(name).get("worker_queues", "").split(",")))


def _reached(name: str) -> set[str]:
    labels = _pod(name)["metadata"]["labels"]
    return {label.removeprefix("yout.chat/reach-") for label in labels if label.startswith("yout.chat/reach-")}


def _selects(selector: Mapping[str, str], name: str) -> bool:
    labels: Mapping[str, str] = _pod(name)["metadata"]["labels"]
    return selector.items() <= labels.items()


def _label(document: Object) -> str:
    return f"{document['kind']}-{document.get('metadata', {}).get('name', '')}"


@pytest.mark.parametrize("document", [*OBJECTS, *OF_OVERLAY], ids=_label)
def test_an_object_is_valid(document: Object) -> None:
    if document["kind"] == "Kustomization":
        assert document["apiVersion"] == "kustomize.config.k8s.io/v1beta1"
    elif document["kind"] == "ScaledObject":
        assert document["apiVersion"] == "keda.sh/v1alpha1"
        assert [error.message for error in validator(SCALED).iter_errors(document["spec"])] == []
    else:
        patched = document["kind"] != "Namespace" and document not in OBJECTS
        schemas.validate(_patched(document) if patched else dict(document), VERSION, strict=True)


def _patched(patch: Object) -> dict[str, Any]:
    """Kustomize merges mappings and, of what is changed here, replaces lists."""
    return _merged(_of(patch["kind"])[patch["metadata"]["name"]], patch)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    nested = {key for key in new if isinstance(new[key], dict) and isinstance(old.get(key), dict)}
    return {**old, **new, **{key: _merged(old[key], new[key]) for key in nested}}


def test_the_schemas_refuse_an_unknown_field() -> None:
    wrong = {**DEPLOYMENTS["api"], "spec": {**DEPLOYMENTS["api"]["spec"], "replica": 3}}
    with pytest.raises(schemas.ValidationError):
        schemas.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("folder", [BASE, EXAMPLE], ids=["base", "example"])
def test_all_files_are_named_once(folder: Path) -> None:
    kustomization = _read(folder / "kustomization.yaml")[0]
    patches = [patch["path"] for patch in kustomization.get("patches", ())]
    files = [name for generator in kustomization["configMapGenerator"] for name in generator.get("files", ())]
    named = [name for name in (*kustomization["resources"], *patches, *files) if not (folder / name).is_dir()]
    assert sorted([*named, "kustomization.yaml"]) == sorted(path.name for path in folder.iterdir())


def test_the_image_is_pinned() -> None:
    assert {_container(name)["image"] for name in RUNNING} == {"yout"}
    overlay = _read(EXAMPLE / "kustomization.yaml")[0]
    for image in (*KUSTOMIZATION["images"], *overlay["images"]):
        assert re.fullmatch(r"\d+\.\d+\.\d+", image["newTag"]) or "digest" in image


@pytest.mark.parametrize("name", RUNNING)
def test_a_pod_can_do_little_harm(name: str) -> None:
    pod, container = _pod(name)["spec"], _container(name)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"hostNetwork", "hostPID", "hostIPC", "initContainers"}.isdisjoint(pod)
    assert all(volume.keys() & {"emptyDir", "configMap"} for volume in pod["volumes"])
    assert "memory" in container["resources"]["limits"]
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("name", RUNNING)
def test_a_process_can_start_with_its_settings(name: str) -> None:
    given = _settings(name)
    assert given.keys() <= Settings.model_fields.keys()
    if given.get("worker_role") == "workflows":
        WorkflowWorkerSettings(**{key: given[key] for key in given.keys() & WorkflowWorkerSettings.model_fields.keys()})
    else:
        Settings(**given)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_process_has_time_to_stop(name: str) -> None:
    waits = _container(name).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    submitting = options.SUBMITTING["start_to_close_timeout"] if _queues(name) & {*MEDIA_QUEUES} else None
    after = submitting.total_seconds() if submitting else SETTLE_SECONDS
    needed = waits + float(_settings(name)["shutdown_timeout"]) + after + 5
    assert _pod(name)["spec"]["terminationGracePeriodSeconds"] >= needed


def test_a_process_has_time_to_start() -> None:
    probe = _container("api")["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 180


@pytest.mark.parametrize("name", RUNNING)
def test_what_a_process_writes_and_reads_is_mounted(name: str) -> None:
    mounts = {mount["mountPath"]: mount for mount in _container(name)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in _pod(name)["spec"]["volumes"]}
    for written in ("/tmp", _environment(name)["YOUT_STATE_DIR"]):
        assert "readOnly" not in mounts[written]
        assert "emptyDir" in volumes[mounts[written]["name"]]
    if catalog := _environment(name).get("YOUT_CATALOG"):
        folder, _, file = catalog.rpartition("/")
        source = volumes[mounts[folder]["name"]]["configMap"]["name"]
        (files,) = [each["files"] for each in KUSTOMIZATION["configMapGenerator"] if each["name"] == source]
        assert file in files


def test_what_pods_take_their_environment_from_is_made() -> None:
    page = (ROOT / "docs" / "production.md").read_text()
    made = dict(re.findall(r"kubectl create secret generic (\S+) (\S.*)", page))
    assert made.keys() == SECRETS.keys()
    assert set().union(*(_sources(name) for name in RUNNING)) == made.keys() | CONFIG.keys() - {"yout-catalog"}
    for name, literals in made.items():
        assert set(SECRETS[name]) <= set(re.findall(r"--from-literal=(\w+)=", literals))


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_node_can_be_drained(name: str) -> None:
    scaled = {**_of("ScaledObject"), **_of("HorizontalPodAutoscaler")}.get(name, {}).get("spec", {})
    least = scaled.get("minReplicaCount") or scaled.get("minReplicas") or DEPLOYMENTS[name]["spec"]["replicas"]
    budget = _of("PodDisruptionBudget")[name]["spec"]
    assert budget.get("maxUnavailable", least - budget.get("minAvailable", 0)) >= 1
    if fallback := scaled.get("fallback"):
        assert least <= fallback["replicas"] <= scaled["maxReplicaCount"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_names_and_selectors_match(name: str) -> None:
    deployment = DEPLOYMENTS[name]
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert [other for other in RUNNING if _selects(selector, other)] == [name]
    assert _of("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == selector
    (spread,) = _pod(name)["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == selector
    scalers = {**_of("ScaledObject"), **_of("HorizontalPodAutoscaler")}
    targets = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers.values()]
    assert targets.count(name) == ("replicas" not in deployment["spec"])


def test_the_service_and_the_ingress_lead_to_the_api() -> None:
    services = _of("Service")
    assert [name for name in RUNNING if _selects(services["api"]["spec"]["selector"], name)] == ["api"]
    assert [name for name in RUNNING if _selects(services["closed"]["spec"]["selector"], name)] == []
    for ingress in (*_of("Ingress").values(), *(it for it in OF_OVERLAY if it["kind"] == "Ingress")):
        (rule,) = ingress["spec"]["rules"]
        paths = {it["path"]: it["backend"]["service"]["name"] for it in rule["http"]["paths"]}
        assert paths == {"/metrics": "closed", "/readyz": "closed", "/": "api"}
        assert {it["pathType"] for it in rule["http"]["paths"]} == {"Prefix"}  # the API also knows "/metrics/"
        assert [tls["hosts"] for tls in ingress["spec"]["tls"]] == [[rule["host"]]]


def test_probes_ask_for_what_the_api_has() -> None:
    routes = {route.path for route in health.router.routes if isinstance(route, APIRoute)}
    probes = [_container("api")[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert [probe["path"] for probe in probes] == ["/healthz", "/healthz", "/readyz"]
    assert {probe["path"] for probe in probes} <= routes
    assert {probe["port"] for probe in probes} == {port["name"] for port in _container("api")["ports"]}


def test_all_queues_are_served_by_one_fleet_each() -> None:
    roles = {name: _settings(name)["worker_role"] for name in WORKERS}
    assert [name for name, role in roles.items() if role == "workflows"] == ["worker-decisions"]
    assert _queues("worker-decisions") == set()
    assert sorted(queue for name in WORKERS for queue in _queues(name)) == sorted(QUEUES)


@pytest.mark.parametrize("name", WORKERS)
def test_a_fleet_has_what_its_queues_need(name: str) -> None:
    queues, sources = _queues(name), _sources(name)
    assert ("yout-books" in sources) is bool(queues) is ("database" in _reached(name))
    assert ("yout-providers" in sources) is bool(queues & set(MEDIA_QUEUES))
    assert ("yout-objects" in sources) is bool(queues & {*MEDIA_QUEUES, MAINTENANCE, PURGE})
    assert ("yout-objects" in sources) is ("objects" in _reached(name)) is ("yout-storage" in sources)
    assert ("internet" in _reached(name)) is bool(queues & {*MEDIA_QUEUES, WEBHOOKS})
    assert "temporal" in _reached(name)


def test_the_owner_of_the_tables_is_known_to_the_migration_alone() -> None:
    assert [name for name in RUNNING if "yout-owner" in _sources(name)] == ["migrate"]
    assert _reached("migrate") == {"database"}


def test_nothing_is_reached_but_what_a_policy_names() -> None:
    policies = _of("NetworkPolicy")
    assert policies["deny-all"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    named = {name.removeprefix("reach-") for name in policies if name.startswith("reach-")}
    assert named == set().union(*(_reached(name) for name in RUNNING))
    for place in named:
        selector = policies[f"reach-{place}"]["spec"]["podSelector"]["matchLabels"]
        assert {name for name in RUNNING if _selects(selector, name)} == {n for n in RUNNING if place in _reached(n)}
    incoming = [name for name, policy in policies.items() if policy["spec"].get("ingress")]
    assert incoming == ["callers"]
    assert policies["callers"]["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "api"


def test_policies_open_the_ports_that_are_used() -> None:
    policies = {name: policy["spec"] for name, policy in _of("NetworkPolicy").items() if name != "deny-all"}
    opened = {
        name: {port["port"] for rule in spec.get("egress") or spec["ingress"] for port in rule["ports"]}
        for name, spec in policies.items()
    }
    (listens,) = _container("api")["ports"]
    assert (opened["callers"], str(listens["containerPort"])) == ({listens["name"]}, CONFIG["yout"]["YOUT_PORT"])
    assert _of("Service")["api"]["spec"]["ports"][0]["targetPort"] == listens["name"]
    assert opened["reach-temporal"] == {int(CONFIG["yout"]["YOUT_TEMPORAL_ADDRESS"].rpartition(":")[2])}
    assert opened["reach-internet"] == {*urls.PORTS, *mails.PORTS.values()} - {25}
    assert opened["reach-database"] == {5432}


@pytest.mark.parametrize("name", _of("ScaledObject"))
def test_a_fleet_grows_by_its_own_queues(name: str) -> None:
    """Those of its activities; the fleet that decides grows by the workflows of all, but `ledger`, which has none.

    Jobs that nobody has begun are in no queue of Temporal: the fleets that begin them grow by their CPU, too.
    """
    scaled, given = _of("ScaledObject")[name]["spec"], CONFIG["yout"]
    triggers = [trigger["metadata"] for trigger in scaled["triggers"] if trigger["type"] == "temporal"]
    assert {trigger["queueTypes"] for trigger in triggers} == {"activity" if _queues(name) else "workflow"}
    assert sorted(trigger["taskQueue"] for trigger in triggers) == sorted(_queues(name) or {*QUEUES} - {LEDGER})
    for trigger in triggers:
        assert trigger["endpoint"] == given["YOUT_TEMPORAL_ADDRESS"]
        apart = "_MAINTENANCE" if trigger["taskQueue"] == MAINTENANCE else ""
        assert trigger["namespace"] == given[f"YOUT_TEMPORAL{apart}_NAMESPACE"]
    assert len(scaled["triggers"]) - len(triggers) == (
        not _queues(name) or bool(_queues(name) & {*MEDIA_QUEUES, LEDGER})
    )
    assert scaled["minReplicaCount"] >= 1
