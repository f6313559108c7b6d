"""The shape of hosts.yaml as pydantic models: types, bounds and the description of every key.

Only shapes are checked here; what one key says of another (a route names a known host) is checked in
`build.py`. Loads pydantic: import this only when a file is read.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema

from ygg.config import values as v
from ygg.config.api_forms import JwtForm, MetricsForm, TlsForm
from ygg.config.host_forms import (
    Form,
    HeatForm,
    ModelForm,
    Models,
    PressureForm,
    TelemetryForm,
    word_schema,
)
from ygg.config.notify_forms import TargetForm
from ygg.config.policy_forms import PolicyForm, ResidencyForm
from ygg.model import JsonDict


class EndpointForm(Form):
    """One model server."""

    backend: v.Backend = Field(
        description="Which protocol the server speaks: `ollama`, or `openai` for llama.cpp, vLLM and "
        "other servers with /v1/chat/completions."
    )
    url: v.Url = Field(
        description="Address of the server, such as http://surtr:11434. A trailing /v1 is dropped."
    )
    models: Models = Field(
        default=[],
        description="Models it serves, the preferred one first: names, or mappings with `name` and `memory`. "
        "An `openai` server with a single model may leave them out.",
    )
    dialect: v.Dialect | None = Field(
        default=None,
        description="Only for `openai`: `llama.cpp` or `vllm`. Found out from the server when left out.",
    )
    api_key_file: v.Text | None = Field(
        default=None,
        description="File that holds the server's API key. Relative to hosts.yaml; `~/` is your home.",
    )
    options: v.Options = Field(
        default={}, description="Settings sent with every request to this server, as they are."
    )
    slots: v.Slots | None = Field(
        default=None,
        description="How many requests this server runs at the same time. Default: as many as its host.",
    )
    kind: v.Kind | None = Field(
        default=None,
        description="Whether it runs its models on a `gpu` or on the `cpu`. Default: as its host.",
    )
    serves: v.Serves = Field(
        default=["text"],
        description="What it is there for: `text` (chats, completions, embeddings), `transcription`, or a list of both. "
        "`transcription`: it has /v1/audio/transcriptions, as whisper servers have, and gets the audio files that come with tasks, also "
        "where no route names it. Only for `openai`.",
    )


Endpoints = Annotated[dict[v.Key, EndpointForm], BeforeValidator(v.by_name)]


class HostForm(Form):
    """One machine. Its server is described right here (`url`, `backend`, ...) or, when it runs
    several, under `endpoints`."""

    kind: v.Kind = Field(
        default="gpu", description="Whether models run on a `gpu` or on the `cpu` of this machine."
    )
    slots: v.Slots | None = Field(
        default=None,
        description="How many requests may run on this machine at the same time, over all its "
        "servers: 1 to 256. ygg never sends more. May be left out where each of its `endpoints` has `slots`: then it is their sum.",
    )
    tags: list[v.Text] = Field(default=[], description="Words of your own about the machine.")
    telemetry: Annotated[TelemetryForm, BeforeValidator(v.word("source"))] = Field(
        default=TelemetryForm(), description="Where its readings come from: a source or a mapping."
    )
    pressure: Annotated[PressureForm, BeforeValidator(v.word("mode"))] = Field(
        default=PressureForm(), description="What memory pressure does: a mode or a mapping."
    )
    heat: Annotated[HeatForm, BeforeValidator(v.word("mode"))] = Field(
        default=HeatForm(), description="What heat does: a mode or a mapping."
    )
    backend: v.Backend | None = Field(
        default=None, description="Short form: as `endpoints.NAME.backend`."
    )
    url: v.Url | None = Field(default=None, description="Short form: as `endpoints.NAME.url`.")
    models: Models = Field(default=[], description="Short form: as `endpoints.NAME.models`.")
    dialect: v.Dialect | None = Field(
        default=None, description="Short form: as `endpoints.NAME.dialect`."
    )
    api_key_file: v.Text | None = Field(
        default=None, description="Short form: as `endpoints.NAME.api_key_file`."
    )
    options: v.Options = Field(default={}, description="Short form: as `endpoints.NAME.options`.")
    serves: v.Serves = Field(
        default=["text"], description="Short form: as `endpoints.NAME.serves`."
    )
    endpoints: Endpoints = Field(
        default={},
        description="The model servers of this machine by a name of your choice, the preferred one first; or a list of them, each "
        "with its `name`, else named after its backend.",
    )


class CandidateForm(Form):
    """One place where a task may run."""

    host: v.Key = Field(description="Name of a host under `hosts`.")
    endpoint: v.Key | None = Field(
        default=None,
        description="One of its endpoints. Default: the first that has the model, else the first.",
    )
    model: v.Text | None = Field(
        default=None, description="The model. Default: the first one of the endpoint."
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonDict:
        return word_schema("`host` or `host/model`", core_schema, handler)


Route = Annotated[CandidateForm, BeforeValidator(v.candidate)]


class MatchForm(Form):
    """Finds the type of a task by its labels, then by its title."""

    labels: list[v.Text] = Field(
        default=[], description="A task with one of these labels is of this type."
    )
    titles: list[v.Pattern] = Field(
        default=[],
        description="Regular expressions as RE2 takes them (without look-around and back-references; `\\w`, `\\d` and `\\b` know "
        "ASCII alone), upper and lower case alike, found anywhere in the title.",
    )


class TypeForm(Form):
    """One kind of work."""

    route: Annotated[list[Route], Field(min_length=1, max_length=64)] = Field(
        description="Where its tasks may run, best first: `host`, `host/model` or a mapping with "
        "`host`, `endpoint` and `model`. The first one that can take a task gets it."
    )
    choose: v.Choose = Field(
        default="order",
        description="`order`: the first host of the route that can take a task gets it; among its own servers and "
        "models memory pressure decides. `best`: the whole route is ranked by preferred backend, loaded model, run time and failures.",
    )
    gpu: v.Gpu = Field(
        default="preferred",
        description="For tasks that do not say: whether they need a GPU host (`required`), want one (`preferred`) or go to "
        "CPU hosts (`never`).",
    )
    options: v.Options = Field(
        default={},
        description="Sampling and other settings sent to the server as they are; a task's own win.",
    )
    system: str | None = Field(
        default=None, description="System prompt for tasks that bring none of their own."
    )
    timeout: v.Duration | None = Field(
        default=None,
        description="Longest time of one attempt, from its first token. Default: `policies.timeout`.",
    )
    retries: v.Retries | None = Field(
        default=None,
        description="How often a task is tried again after an error or a timeout, 0 to 100. Default: errors "
        "as `policies.max_errors` says, timeouts never.",
    )
    cache: bool = Field(
        default=True,
        description="Whether its tasks may get the answer of an identical one (`policies.cache_ttl`). With `false` each runs.",
    )
    match: MatchForm = Field(
        default=MatchForm(),
        description="Which tasks are of this type when their submitter names none.",
    )


class ApiForm(Form):
    """The HTTP API beside the unix socket, where it always answers."""

    listen: v.Addresses = Field(
        default=[],
        description="Addresses where it answers too: `127.0.0.1:8420`, or a list. On a loopback address programs of this "
        "machine may do everything, pages in a browser nothing. On any other one, such as `0.0.0.0:8420` (IPv4) or `[::]:8420` (IPv6), "
        "everybody needs a token: `ygg token create`; without one, and without `jwt`, ygg does not start there. Another list takes effect with the next start.",
    )
    hosts: list[v.HostName] = Field(
        default=[],
        description="Further names under which this machine is asked, beside its addresses, its host name and that with `.local`. "
        "Requests that say another one are refused: so no page in a browser reaches ygg by a name of its own.",
    )
    require_token: bool = Field(
        default=False,
        description="Whether programs of this machine need a token too. The unix socket needs none.",
    )
    insecure: bool = Field(
        default=False,
        description="Let every machine of the network do everything, unasked. Not set: `$ALLOW_INSECURE_DEV`.",
    )
    jwt: JwtForm | None = Field(
        default=None,
        description="Whose JWTs let in too. Default: nobody's; they count as no token.",
    )
    tls: TlsForm | None = Field(
        default=None, description="The certificate of its TCP addresses. Default: plain HTTP."
    )


class PrivacyForm(Form):
    """What is told of a task beside its answer."""

    titles: bool = Field(
        default=True,
        description="Whether a task without a title is called by the first words of its prompt. With `false` it has none; those that are stored keep theirs.",
    )


class FileForm(Form):
    """hosts.yaml: the machines of the house, the kinds of work, and where each may run."""

    hosts: dict[v.Key, HostForm] = Field(description="The machines, by a name of your choice.")
    task_types: dict[v.Key, TypeForm] = Field(
        description="The kinds of work by name. `general` must be there: tasks of unknown types run on its route."
    )
    policies: PolicyForm = Field(
        default=PolicyForm(), description="The numbers of the scheduler; every one has a default."
    )
    privacy: PrivacyForm = Field(
        default=PrivacyForm(), description="What of a task is shown in lists, log and live view."
    )
    api: ApiForm = Field(default=ApiForm(), description="Where programs reach ygg over HTTP.")
    metrics: MetricsForm = Field(default=MetricsForm(), description="What Prometheus scrapes.")
    notify: Annotated[list[TargetForm], Field(max_length=32)] = Field(
        default=[], description="Whom ygg tells what happens: ntfy, webhooks, mail, commands."
    )


ANY = "*"
#: Which form stands at which key path; ANY is any one step.
FORMS: dict[tuple[str, ...], type[Form]] = {
    (): FileForm,
    ("hosts", ANY): HostForm,
    ("hosts", ANY, "models", ANY): ModelForm,
    ("hosts", ANY, "telemetry"): TelemetryForm,
    ("hosts", ANY, "pressure"): PressureForm,
    ("hosts", ANY, "heat"): HeatForm,
    ("hosts", ANY, "endpoints", ANY): EndpointForm,
    ("hosts", ANY, "endpoints", ANY, "models", ANY): ModelForm,
    ("task_types", ANY): TypeForm,
    ("task_types", ANY, "route", ANY): CandidateForm,
    ("task_types", ANY, "match"): MatchForm,
    ("policies",): PolicyForm,
    ("policies", "residency"): ResidencyForm,
    ("privacy",): PrivacyForm,
    ("api",): ApiForm,
    ("metrics",): MetricsForm,
    ("api", "jwt"): JwtForm,
    ("api", "tls"): TlsForm,
    ("notify", ANY): TargetForm,
}


def form_at(path: tuple[str | int, ...]) -> type[Form] | None:
    """The form of the mapping at a key path."""
    for pattern, form in FORMS.items():
        if len(pattern) == len(path) and all(
            p in (ANY, s) for p, s in zip(pattern, path, strict=True)
        ):
            return form
    return None
