"""What TensorRT's parser makes of an ONNX graph: errors that name the node, the ring's updates, attention.

Module and functions work on either library. See build_child.py for the build itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu.errors import ModelError
from gpu.wan.engines.trt_library import TrtLibrary, logger_of

_MOST_NAMED = 3  # errors that a message lists


@dataclass(frozen=True, slots=True)
class Parsed:
    """A network and the parser that holds its weights: keep both until the engine is built."""

    network: Any
    parser: Any
    nodes: int  # of the ONNX graph


def parse(library: TrtLibrary, builder: Any, graph: Path) -> Parsed:
    """The network of an ONNX file; types are the graph's own (strongly typed).

    Raises ModelError naming node, operator and the library's reason."""
    if not graph.is_file():
        raise ModelError(f"there is no graph at {graph}: export it again")
    trt = library.trt
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)  # TensorRT 11 knows nothing else
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger_of(library))
    if not parser.parse_from_file(str(graph)):
        raise ModelError(_refusal(library, parser, graph))
    logger_of(library).taken()
    return Parsed(network, parser, _nodes(graph))


def _refusal(library: TrtLibrary, parser: Any, graph: Path) -> str:
    said = []
    for place in range(min(parser.num_errors, _MOST_NAMED)):
        error = parser.get_error(place)
        operator, name = str(error.node_operator() or ""), str(error.node_name() or "")
        where = f"node {name!r} ({operator})" if operator else f"node {error.node()}"
        said.append(f"{where}: {str(error.desc()).strip()}")
    reason = "; ".join(said) or logger_of(library).taken() or "it did not say why"
    return f"{library.words} cannot take {graph.name}: {reason}"


def _nodes(graph: Path) -> int:
    """Nodes of the graph, its weights left on the disk; 0 without the package `onnx`."""
    try:
        import onnx
    except ImportError:
        return 0
    return len(onnx.load(str(graph), load_external_data=False).graph.node)


def in_place_updates(library: TrtLibrary, network: Any, wanted: tuple[str, ...]) -> dict[str, str]:
    """{output: the network input whose memory it writes}, of every TensorScatter that the parser turned into
    an update in place; an engine wants both bound to one address.

    Raises ModelError where an input of `wanted` is not updated so: it would be copied with each pass."""
    update = library.trt.LayerType.KV_CACHE_UPDATE
    found: dict[str, str] = {}
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        if layer.type != update:
            continue
        cache, out = layer.get_input(0), layer.get_output(0)
        if cache.is_network_input and out.is_network_output:
            found[out.name] = cache.name
    missing = sorted(set(wanted) - set(found.values()))
    if missing:
        raise ModelError(
            f"{library.words} would copy {', '.join(missing[:_MOST_NAMED])} instead of writing it in place "
            f"({len(missing)} of {len(wanted)}): each must go into TensorScatter, whose result is an output"
        )
    return found


def decompose_attention(library: TrtLibrary, network: Any) -> int:
    """Allow every attention to be taken apart where no fused kernel fits (what the ONNX attribute
    TRT_decomposable says); how many there are."""
    trt, count = library.trt, 0
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        if layer.type == trt.LayerType.ATTENTION_INPUT:
            layer.__class__ = trt.IAttentionInputLayer  # the bindings hand out the base class
            layer.attention.decomposable = True
            count += 1
    return count
