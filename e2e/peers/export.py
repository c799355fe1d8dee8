#!/usr/bin/env python3
"""Model repositories as transformers.js reads them: each folder's own weights as ONNX, by the exporter that the hub's
"onnx-community" repositories come from, so that the peers run what a visitor of theirs would.

    export.py [--out DIR] [--dtypes fp32,fp16,q8] MODEL_FOLDER...

`DIR/<model>/` gets the repository itself, which Rill reads, and `onnx/`: `model`, or `encoder_model` and
`decoder_model_merged`; a CLIP also its towers, `text_model` and `vision_model`. Every file is run by ONNX Runtime and compared
with transformers on the way.
How to set it up: README.md in this folder.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel
from optimum.exporters.onnx import main_export
from optimum.onnx import merge_decoders

SUFFIX = {"fp32": "", "fp16": "_fp16", "q8": "_quantized"}

# What a folder's config.json names first, and the exporter's name for what it is for.
TASKS = {
    "BertModel": "feature-extraction",
    "DistilBertModel": "feature-extraction",
    "BertForMaskedLM": "fill-mask",
    "DistilBertForMaskedLM": "fill-mask",
    "ViTModel": "feature-extraction",
    "DeiTModel": "feature-extraction",
    "Dinov2Model": "feature-extraction",
    "ViTForImageClassification": "image-classification",
    "DeiTForImageClassification": "image-classification",
    "CLIPModel": "zero-shot-image-classification",
    "T5ForConditionalGeneration": "text2text-generation-with-past",
    "WhisperForConditionalGeneration": "automatic-speech-recognition-with-past",
}

# A decoder's first step, and the ones that have a cache.
DECODERS = ["decoder_model.onnx", "decoder_with_past_model.onnx"]

# The weights again, for programs that do not run here, and what lies beside a repository.
NOT_TAKEN = ["*.bin", "*.h5", "*.msgpack", "*.ot", "onnx", "openvino", ".*"]


def export(folder: Path, out: Path, dtypes: list[str]) -> None:
    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    if architecture not in TASKS:
        raise SystemExit(f"{folder}: {architecture} is none of {', '.join(TASKS)}")
    print(f"{folder.name}: {architecture}")
    shutil.copytree(folder, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_TAKEN))
    onnx_folder = out / "onnx"
    onnx_folder.mkdir(exist_ok=True)

    with tempfile.TemporaryDirectory() as made:
        main_export(
            str(folder),
            output=made,
            task=TASKS[architecture],
            library_name="transformers",
            dtype="fp32",
            local_files_only=True,
            do_validation=False,
        )
        if architecture == "CLIPModel":
            split(Path(made))
        # The merged decoder holds the two that it was merged from.
        parts = [file for file in sorted(Path(made).glob("*.onnx")) if file.name not in DECODERS]
        for part in parts:
            for dtype in dtypes:
                file = onnx_folder / f"{part.stem}{SUFFIX[dtype]}.onnx"
                write(part, file, dtype)
                print(f"  {file.name:40} {file.stat().st_size / 1e6:6.1f} MB")
    check(folder, architecture, onnx_folder, dtypes)


def split(folder: Path) -> None:
    """A CLIP's towers as files of their own. Their vectors have length 1, where the hub's have the projection's own."""
    whole = str(folder / "model.onnx")
    text, image = ["input_ids", "attention_mask"], ["pixel_values"]
    known = {value.name for value in onnx.load(whole, load_external_data=False).graph.input}
    onnx.utils.extract_model(whole, str(folder / "text_model.onnx"), [n for n in text if n in known], ["text_embeds"])
    onnx.utils.extract_model(whole, str(folder / "vision_model.onnx"), image, ["image_embeds"])


def write(source: Path, file: Path, dtype: str) -> None:
    """`source` in another precision; what goes in and out stays f32."""
    if dtype == "fp32":
        shutil.copyfile(source, file)
    elif dtype == "fp16" and source.stem == "decoder_model_merged":
        # The converter leaves a branch whose outputs come from outside of it, which no runtime loads: each, then merged.
        merge_decoders(*(halved(source.with_name(name)) for name in DECODERS), save_path=file, strict=False)
    elif dtype == "fp16":
        onnx.save(halved(source), file)
    else:
        # As the conversion script of transformers.js does it: ONNX Runtime has no convolution of signed weights.
        convolves = any(node.op_type == "Conv" for node in onnx.load(source).graph.node)
        kind = QuantType.QUInt8 if convolves else QuantType.QInt8
        quantize_dynamic(source, file, weight_type=kind, extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True})


def halved(source: Path) -> onnx.ModelProto:
    model = OnnxModel(convert_float_to_float16(onnx.load(source), keep_io_types=True))
    # The converter adds its casts at the end, wherever they are needed.
    model.topological_sort()
    return model.model


def check(folder: Path, architecture: str, onnx_folder: Path, dtypes: list[str]) -> None:
    """Prints how far each precision is from transformers, and stops where f32 is."""
    model = getattr(transformers, architecture).from_pretrained(folder, dtype=torch.float32).eval()
    compare = {"bert": texts, "distilbert": texts, "clip": clip, "t5": sequence, "whisper": sequence}
    for dtype in dtypes:
        run = lambda name, **inputs: session(onnx_folder / f"{name}{SUFFIX[dtype]}.onnx", inputs)
        with torch.no_grad():
            for name, ours, theirs in compare.get(model.config.model_type, pictures)(model, run):
                apart, scale = np.abs(ours - theirs).max(), np.abs(theirs).max()
                print(f"  {dtype} {name}: {apart:.1e} from transformers at most, of up to {scale:.1f}")
                if dtype == "fp32" and not apart < 1e-4 * max(scale, 1):
                    raise SystemExit(f"{folder}: {name} is not the same model")


def session(file: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    runner = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    known = {value.name for value in runner.get_inputs()}
    outputs = runner.run(None, {name: value for name, value in inputs.items() if name in known})
    return dict(zip((value.name for value in runner.get_outputs()), outputs))


def token_ids(model, rows: int, length: int) -> np.ndarray:
    size = getattr(model.config, "text_config", model.config).vocab_size
    return np.random.default_rng(1).integers(5, size - 5, (rows, length), dtype=np.int64)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).standard_normal(shape, dtype=np.float32)


def texts(model, run):
    ids = token_ids(model, 3, 17)
    mask = np.ones_like(ids)
    mask[1, 9:] = 0
    theirs = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))[0].numpy()
    ours = run("model", input_ids=ids, attention_mask=mask, token_type_ids=np.zeros_like(ids))
    # Where nothing is asked, nothing has to be right.
    yield "output", next(iter(ours.values()))[mask == 1], theirs[mask == 1]


def pictures(model, run):
    pixels = noise(2, model.config.num_channels, model.config.image_size, model.config.image_size)
    yield "output", next(iter(run("model", pixel_values=pixels).values())), model(pixel_values=torch.tensor(pixels))[0].numpy()


def clip(model, run):
    size = model.config.vision_config.image_size
    pixels, ids = noise(3, 3, size, size), token_ids(model, 2, 9)
    ids[:, -1] = model.config.text_config.eos_token_id
    mask = np.ones_like(ids)
    theirs = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask), pixel_values=torch.tensor(pixels))
    whole = run("model", input_ids=ids, attention_mask=mask, pixel_values=pixels)
    yield "scores", whole["logits_per_image"], theirs.logits_per_image.numpy()
    yield "text tower", run("text_model", input_ids=ids, attention_mask=mask)["text_embeds"], theirs.text_embeds.numpy()
    yield "image tower", run("vision_model", pixel_values=pixels)["image_embeds"], theirs.image_embeds.numpy()


def sequence(model, run):
    """The encoder, the decoder's first step, and one more with its cache."""
    c = model.config
    if c.model_type == "whisper":
        inputs = {"input_features": noise(1, c.num_mel_bins, 2 * c.max_source_positions)}
        layers, heads, width = c.decoder_layers, c.decoder_attention_heads, c.d_model // c.decoder_attention_heads
    else:
        ids = token_ids(model, 1, 11)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        layers, heads, width = c.num_decoder_layers, c.num_heads, c.d_kv
    start = np.array([[c.decoder_start_token_id, 7]], dtype=np.int64)
    given = {name: torch.tensor(value) for name, value in inputs.items()}
    theirs = model(**given, decoder_input_ids=torch.tensor(start))
    encoded = run("encoder_model", **inputs)["last_hidden_state"]
    yield "encoder", encoded, theirs.encoder_last_hidden_state.numpy()

    def step(tokens, past, cached):
        mask = inputs.get("attention_mask")
        extra = {} if mask is None else {"encoder_attention_mask": mask}
        return run(
            "decoder_model_merged",
            input_ids=tokens,
            encoder_hidden_states=encoded,
            use_cache_branch=np.array([cached]),
            **extra,
            **past,
        )

    names = [f"{i}.{side}.{part}" for i in range(layers) for side in ("decoder", "encoder") for part in ("key", "value")]
    empty = {f"past_key_values.{name}": np.zeros((1, heads, 1, width), dtype=np.float32) for name in names}
    first = step(start[:, :1], empty, False)
    yield "first logits", first["logits"][0, -1], theirs.logits[0, 0].numpy()
    past = {f"past_key_values.{name}": first[f"present.{name}"] for name in names}
    yield "logits with the cache", step(start[:, 1:], past, True)["logits"][0, -1], theirs.logits[0, 1].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="MODEL_FOLDER")
    parser.add_argument("--out", type=Path, default=Path("peer-models"))
    parser.add_argument("--dtypes", default="fp32,fp16,q8", help="of fp32, fp16, q8")
    given = parser.parse_args()
    for folder in given.folders:
        export(folder.resolve(), given.out / folder.resolve().name, given.dtypes.split(","))


if __name__ == "__main__":
    main()
