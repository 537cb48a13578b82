"""`relens doctor`: tries what a session needs on this machine; says the remedy or what replaces it."""

from __future__ import annotations

from gpu.cuda import probe
from gpu.models.choice import AUTO
from gpu.models.registry import MODEL_NAMES
from server.config import Config
from server.doctor import bridge, gpus, kept, machine, media, network, weights
from server.doctor.finding import Finding, report

__all__ = ["Finding", "examine", "report"]


def examine(config: Config) -> list[Finding]:
    """Try everything; never raises for what is missing. Takes seconds, more where large libraries are."""
    found = probe.probe()
    named = () if config.model == AUTO else (config.model,)
    tried = [media.try_model(name, config) for name in dict.fromkeys((*MODEL_NAMES, *named))]
    return [
        machine.python(),
        machine.cpu(),
        *(media.codec(codec) for codec in media.CODECS),
        *gpus.engines(found),
        *(trial.finding for trial in tried),
        *media.chosen(config),
        *weights.weights(config),
        *kept.kept(config),
        *machine.tls(config),
        machine.port(config),
        *network.candidates(config),
        *bridge.rtmp_port(config),
        bridge.push(),
        bridge.srt(),
        machine.page(config),
        *gpus.hardware(found, config),
        *gpus.libraries(found),
        *gpus.paths(found, tried, config),
    ]
