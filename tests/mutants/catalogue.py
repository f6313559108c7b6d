"""All planted bugs, by part."""

from __future__ import annotations

from tests.mutants import (
    api,
    backends,
    cards,
    config,
    core,
    gpu,
    gpu_cpu,
    history,
    intake,
    models,
    ops,
    ops_models,
    ops_service,
    ownership,
    placement,
    probes,
    stores,
    surface,
)

MUTANTS = [
    *core.MUTANTS,
    *placement.MUTANTS,
    *gpu.MUTANTS,
    *gpu_cpu.MUTANTS,
    *history.MUTANTS,
    *models.MUTANTS,
    *stores.MUTANTS,
    *ownership.MUTANTS,
    *backends.MUTANTS,
    *config.MUTANTS,
    *intake.MUTANTS,
    *surface.MUTANTS,
    *api.MUTANTS,
    *ops.MUTANTS,
    *ops_service.MUTANTS,
    *ops_models.MUTANTS,
    *probes.MUTANTS,
    *cards.MUTANTS,
]
