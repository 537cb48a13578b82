"""Every structure shared with libnvcuvid lies as the headers say: NVIDIA's, and the fake's own.

cuvid_layout.json is what NVIDIA's header (MIT, not part of this repository; Debian has it as
libffmpeg-nvenc-dev) says of what relens uses, so that every machine holds to it; where the header is
installed, the table is held to it:

    python -m tests.gpu.cuda.test_cuvid_layout    makes the table anew
"""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from gpu.cuda import cuvid_structs as structs

_OFFICIAL = (
    Path("/usr/include/ffnvcodec/dynlink_nvcuvid.h"),
    Path("/usr/local/include/ffnvcodec/dynlink_nvcuvid.h"),
)
_STUB = Path(__file__).with_name("stubs") / "nvcuvid_types.h"
_TABLE = Path(__file__).with_name("cuvid_layout.json")
_STRUCTURES: dict[str, type[ctypes.Structure]] = {
    "CUVIDDECODECAPS": structs.DecodeCaps,
    "CUVIDDECODECREATEINFO": structs.CreateInfo,
    "CUVIDRECONFIGUREDECODERINFO": structs.ReconfigureInfo,
    "CUVIDH264DPBENTRY": structs.H264DpbEntry,
    "CUVIDH264PICPARAMS": structs.H264PicParams,
    "CUVIDHEVCPICPARAMS": structs.HevcPicParams,
    "CUVIDPICPARAMS": structs.PicParams,
    "CUVIDPROCPARAMS": structs.ProcParams,
    "CUVIDGETDECODESTATUS": structs.DecodeStatus,
    "CUVIDEOFORMAT": structs.VideoFormat,
    "CUVIDAV1SEQHDR": structs.Av1SequenceHeader,
    "CUVIDEOFORMATEX": structs.VideoFormatEx,
    "CUVIDSOURCEDATAPACKET": structs.SourceDataPacket,
    "CUVIDPARSERDISPINFO": structs.DisplayInfo,
    "CUVIDPARSERPARAMS": structs.ParserParams,
}
_PARTIAL = {"CUVIDH264PICPARAMS", "CUVIDHEVCPICPARAMS"}  # only their heads are written out
_CONSTANTS = {
    "cudaVideoCodec_H264": structs.H264, "cudaVideoCodec_HEVC": structs.HEVC,
    "cudaVideoCodec_VP8": structs.VP8,
    "cudaVideoCodec_VP9": structs.VP9, "cudaVideoCodec_AV1": structs.AV1,
    "cudaVideoChromaFormat_420": structs.CHROMA_420, "cudaVideoSurfaceFormat_NV12": structs.NV12,
    "cudaVideoSurfaceFormat_P016": structs.P016, "cudaVideoDeinterlaceMode_Weave": structs.WEAVE,
    "cudaVideoCreate_PreferCUVID": structs.PREFER_CUVID, "CUVID_PKT_ENDOFSTREAM": structs.ENDOFSTREAM,
    "CUVID_PKT_TIMESTAMP": structs.TIMESTAMP, "CUVID_PKT_ENDOFPICTURE": structs.ENDOFPICTURE,
    "cuvidDecodeStatus_Error": structs.STATUS_ERROR,
    "cuvidDecodeStatus_Error_Concealed": structs.STATUS_CONCEALED,
}  # fmt: skip
_BITS = (  # of bit fields there is no offset: each set alone, and the bytes compared
    ("CUVIDEOFORMAT", "video_signal_description", "video_format", 7),
    ("CUVIDEOFORMAT", "video_signal_description", "video_full_range_flag", 1),
    ("CUVIDPARSERPARAMS", "", "bAnnexb", 1),
)


def _described() -> dict[str, str]:
    """What ctypes has, each line as the C program below prints it."""
    found = {name: str(value) for name, value in _CONSTANTS.items()}
    for c_name, structure in _STRUCTURES.items():
        if c_name not in _PARTIAL:
            found[c_name] = str(ctypes.sizeof(structure))
        for name, _, *bits in structure._fields_:
            if not bits and not name.startswith("_"):
                place = getattr(structure, name)
                found[f"{c_name}.{name}"] = (
                    f"{place.offset} {place.size if c_name + name not in _TAILS else 0}"
                )
    for c_name, within, name, value in _BITS:
        structure = _STRUCTURES[c_name]()
        setattr(getattr(structure, within) if within else structure, name, value)
        found[f"{c_name}:{name}"] = bytes(structure).hex()
    return found


_TAILS = {
    "CUVIDEOFORMATEXav1"
}  # in the header a union with raw bytes; its own size is that of CUVIDAV1SEQHDR


def _program(header: Path) -> str:
    lines = [f'printf("{name}=%d\\n", (int){name});' for name in _CONSTANTS]
    for c_name, structure in _STRUCTURES.items():
        if c_name not in _PARTIAL:
            lines.append(f'printf("{c_name}=%zu\\n", sizeof({c_name}));')
        for name, _, *bits in structure._fields_:
            if not bits and not name.startswith("_"):
                size = "(size_t)0" if c_name + name in _TAILS else f"sizeof((({c_name} *)0)->{name})"
                lines.append(f'printf("{c_name}.{name}=%zu %zu\\n", offsetof({c_name}, {name}), {size});')
    for c_name, within, name, value in _BITS:
        path = f"{within}.{name}" if within else name
        lines.append(f"{{ {c_name} it; memset(&it, 0, sizeof it); it.{path} = {value};")
        lines.append(f'printf("{c_name}:{name}="); for (size_t i = 0; i < sizeof it; i++)')
        lines.append('printf("%02x", ((unsigned char *)&it)[i]); printf("\\n"); }')
    body = "\n".join(lines)
    return (
        "#include <stddef.h>\n#include <stdio.h>\n#include <string.h>\n"
        + ("#include <ffnvcodec/dynlink_cuda.h>\n" if header != _STUB else "")
        + f'#include "{header}"\nint main(void) {{\n{body}\nreturn 0; }}\n'
    )


def _asked(header: Path) -> dict[str, str]:
    """What a header says. Raises CalledProcessError where it lacks something."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "layout.c", Path(folder) / "layout"
        source.write_text(_program(header))
        command = ["gcc", "-I", str(header.parents[1]), str(source), "-o", str(program)]
        subprocess.run(command, check=True, timeout=60)
        told = subprocess.run([str(program)], capture_output=True, text=True, timeout=10, check=True)
    return dict(line.split("=", 1) for line in told.stdout.splitlines())


def test_every_size_and_offset_is_the_headers() -> None:
    assert _described() == json.loads(_TABLE.read_text())


def test_the_table_is_the_headers() -> None:
    header = next((path for path in _OFFICIAL if path.exists()), None)
    if header is None or shutil.which("gcc") is None:
        pytest.skip("needs gcc and NVIDIA's header (Debian: libffmpeg-nvenc-dev); the table stands for it")
    assert _asked(header) == json.loads(_TABLE.read_text())


def test_the_fake_is_built_on_the_same_layout() -> None:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    assert _asked(_STUB) == json.loads(_TABLE.read_text())


def test_callbacks_are_pointers_that_the_library_may_find_null() -> None:
    params = structs.ParserParams()
    assert ctypes.sizeof(structs.SequenceCallback) == ctypes.sizeof(ctypes.c_void_p)
    assert not params.pfnSequenceCallback
    assert not params.pfnDisplayPicture


if __name__ == "__main__":
    _found = next(path for path in _OFFICIAL if path.exists())
    _TABLE.write_text(json.dumps(_asked(_found), indent=0) + "\n")
