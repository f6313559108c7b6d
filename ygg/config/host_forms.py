"""The base of the forms of hosts.yaml, and those that say how a host is measured."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema

from ygg.config import values as v
from ygg.model import HeatRule, JsonDict, PressureRule, Telemetry

T, R, H = Telemetry(), PressureRule(), HeatRule()  #: the defaults come from these


class Form(BaseModel):
    """A mapping with known keys. A key without a value counts as not set."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields
        return {k: v for k, v in data.items() if v is not None or k not in fields}


def word_schema(word: str, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonDict:
    """The JSON schema of a mapping that may be written as one word."""
    mapping = handler.resolve_ref_schema(handler(core_schema))
    return {"anyOf": [{"type": "string", "description": word}, mapping]}


class ModelForm(Form):
    """One model of a server, by its name or with its size."""

    name: v.Text = Field(
        description="The name the server knows it by, in any spelling that the server takes for it."
    )
    memory: v.Memory | None = Field(
        default=None,
        description="What it takes of the card's memory when loaded, with its context, such as `6.5GB`. "
        "Tells ygg what fits together; without it ygg learns which models were loaded together.",
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonDict:
        return word_schema("the model's name", core_schema, handler)


Models = list[Annotated[ModelForm, BeforeValidator(v.model)]]


class TelemetryForm(Form):
    """Where the readings of a host come from. One word is the `source`: `telemetry: nvml`."""

    source: v.Source = Field(
        default=T.source,  # type: ignore[arg-type]  # Telemetry keeps it as text
        description="`nvml` (this machine's NVIDIA driver), `ssh` (nvidia-smi on the host), `ollama_ps` (only "
        "which models are loaded), `static` (nothing is read) or `off`. `auto`: `nvml` for this machine when it has "
        "the driver, `ssh` when `ssh` is set, else `ollama_ps` for Ollama servers, else `static`.",
    )
    ssh: v.Ssh | None = Field(
        default=None,
        description="Where to log in: `machine`, `user@machine` or a name of ssh_config. Its host key must be "
        "known: `ygg hosts trust NAME`.",
    )
    interval: v.Duration = Field(default=T.interval_s, description="Time between two readings.")
    timeout: v.Duration = Field(
        default=T.timeout_s,
        description="Longest wait for one. Readings count as fresh for 3 intervals and a timeout, then may only lower "
        "limits, and after three times that say nothing.",
    )
    idle_interval: v.Ageing = Field(
        default=T.idle_interval_s,
        description="Time between readings of a host without work. `off`: none after 60 s, so that its card may sleep.",
    )
    on_unknown: v.OnUnknown = Field(
        default=T.on_unknown,  # type: ignore[arg-type]
        description="Slots of a host whose readings have stopped: `conservative` (one), `static` (all) or `hold` (none).",
    )
    memory: v.Memory | None = Field(
        default=None,
        description="The card's memory where nothing reads it, such as `8GB`: with the models' sizes it tells what fits.",
    )
    servers: list[v.Text] = Field(
        default=list(T.servers),
        description="Names of the model servers' processes: memory of any other process is foreign.",
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonDict:
        return word_schema("the source", core_schema, handler)


class PressureForm(Form):
    """Memory pressure: levels in percent of used / total. One word is the `mode`."""

    mode: v.PressureMode = Field(
        default=R.mode,  # type: ignore[arg-type]
        description="`foreign`: slots shrink only for memory that is not the model servers', such as a game's. `seed`: "
        "at most 4, 2, 2, 1 calls at the four levels, whoever holds the memory.",
    )
    normal: v.Percent = Field(default=R.normal, description="Where the level NORMAL begins.")
    high: v.Percent = Field(default=R.high, description="Where the level HIGH begins.")
    critical: v.Percent = Field(default=R.critical, description="Where the level CRITICAL begins.")
    stop: v.Percent = Field(
        default=R.stop,
        description="No new starts from here on; idle models are unloaded until there is room. 100: never.",
    )
    hysteresis: v.Percent = Field(
        default=R.hysteresis, description="A level is left this far below where it began."
    )
    foreign_from: v.Percent = Field(
        default=R.foreign_from, description="Foreign memory below this share changes nothing."
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonDict:
        return word_schema("the mode", core_schema, handler)


class HeatForm(Form):
    """Heat: degrees Celsius of the hottest card. One word is the `mode`: `heat: card`."""

    mode: v.HeatMode = Field(
        default=H.mode,  # type: ignore[arg-type]
        description="`limits`: the temperatures here. `card`: the degrees left to the limit the card itself reports; right "
        "for cards that hold 83 °C under load by design.",
    )
    normal: v.Degrees = Field(
        default=H.normal, description="Below this all slots; above it fewer, down to half."
    )
    throttle: v.Degrees = Field(default=H.throttle, description="Above this half of the slots.")
    stop: v.Degrees = Field(default=H.stop, description="Above this no new starts.")
    cool: v.Degrees = Field(default=H.cool, description="They resume this far below `stop` ...")
    hold: v.Duration = Field(default=H.hold_s, description="... for this long.")
    hot_margin: v.Degrees = Field(
        default=H.hot_margin, description="`card`: half of the slots with so few degrees left."
    )
    stop_margin: v.Degrees = Field(
        default=H.stop_margin, description="`card`: no new starts with so few degrees left."
    )
    cool_margin: v.Degrees = Field(
        default=H.cool_margin, description="`card`: starts resume with so many degrees left."
    )
    assumed_max: v.Degrees = Field(
        default=H.assumed_max, description="`card`: the limit of a card that tells none."
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonDict:
        return word_schema("the mode", core_schema, handler)
