"""Small random pictures models (seeded) as Hugging Face repositories, a drawn picture, and what the reference makes of them.

Made with torch 2.15.0, transformers 5.23.0 and Pillow 13.0.0: `python make.py` in this folder. Weights are stored as f16 and the reference
computes with those in f32.
"""
import json, os
import numpy as np, torch, transformers as tf
from PIL import Image
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

torch.manual_seed(7)


def picture(width, height):
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    wave = 127 + 90 * np.sin(x / 5 + y / 9) + 37 * np.cos(x * y / 97)
    rings = 255 * ((np.hypot(x - width * 0.6, y - height * 0.4) // 6) % 2)
    ramp = 255 * (x + y) / (width + height)
    return Image.fromarray(np.stack([wave, rings, ramp], -1).clip(0, 255).astype(np.uint8))


pictures = {"wide": picture(97, 61), "tall": picture(40, 83)}
for name, image in pictures.items():
    image.save(f"{name}.png", optimize=True)

small = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, patch_size=8, hidden_dropout_prob=0.0)
labels = dict(id2label={0: "tree", 1: "river", 2: "stone", 3: "cloud", 4: "sand"}, label2id={"tree": 0, "river": 1, "stone": 2, "cloud": 3, "sand": 4})
deit_config = tf.DeiTConfig(**small, **labels, image_size=32)
dino = {k: v for k, v in small.items() if k != "intermediate_size"}
models = {
    "vit": (
        tf.ViTForImageClassification(tf.ViTConfig(**small, **labels, image_size=32)),
        ViTImageProcessorPil(size={"height": 32, "width": 32}), "ViTImageProcessor"),
    "deit": (
        tf.DeiTForImageClassificationWithTeacher(deit_config),
        DeiTImageProcessorPil(size={"height": 40, "width": 40}, crop_size={"height": 32, "width": 32}), "DeiTImageProcessor"),
    # A table of 7 x 7 places for pictures of 4 x 4 patches.
    "dinov2": (
        tf.Dinov2ForImageClassification(tf.Dinov2Config(**dino, **labels, mlp_ratio=2, image_size=56, layerscale_value=0.6)),
        BitImageProcessorPil(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, resample=3), "BitImageProcessor"),
    "dinov2-registers": (
        tf.Dinov2WithRegistersForImageClassification(
            tf.Dinov2WithRegistersConfig(**dino, **labels, mlp_ratio=2, image_size=56, num_register_tokens=3)),
        BitImageProcessorPil(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, resample=3), "BitImageProcessor"),
    "dinov2-gated": (
        tf.Dinov2ForImageClassification(tf.Dinov2Config(**dino, **labels, mlp_ratio=2, image_size=32, use_swiglu_ffn=True)),
        BitImageProcessorPil(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, resample=3), "BitImageProcessor"),
}
golden = {}
for name, (model, processor, processor_type) in models.items():
    with torch.no_grad():
        for key, weight in model.named_parameters():
            # The initial weights give logits that hardly differ.
            if "lambda" in key or "norm" in key and key.endswith("weight"):
                weight.add_(torch.randn_like(weight) * 0.1)
            elif weight.ndim == 1:
                weight.add_(torch.randn_like(weight) * 0.05)
            else:
                weight.copy_(torch.randn_like(weight) * (0.5 if "token" in key or "position" in key else 0.15))
    model = model.eval().half()
    model.save_pretrained(name)
    model = model.float()
    config = json.load(open(f"{name}/config.json"))
    prepared = json.loads(processor.to_json_string())
    prepared["image_processor_type"] = processor_type
    json.dump({k: v for k, v in prepared.items() if v is not None}, open(f"{name}/preprocessor_config.json", "w"), indent=1)
    pixels = torch.from_numpy(np.stack([processor(image).pixel_values[0] for image in pictures.values()]))
    with torch.no_grad():
        logits = model(pixels).logits
        base = getattr(model, model.base_model_prefix)
        hidden = base(pixels).last_hidden_state
    golden[name] = dict(
        prepared=[dict(first=p.flatten()[:8].tolist(), middle=p[1, 16].tolist(), sum=float(p.double().sum())) for p in pixels],
        logits=logits.tolist(), features=hidden[:, 0].tolist())
json.dump(golden, open("golden.json", "w"), indent=1)
for name in models:
    print(name, os.path.getsize(f"{name}/model.safetensors"), golden[name]["logits"][0])

# The model that ships with the page, with its pictures prepared by Pillow (its own golden.json has torchvision's).
folder = "../../../public/models/clip-emoji"
own = json.load(open("../clip-emoji/golden.json"))
model = tf.CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
processor = CLIPImageProcessorPil(**{k: v for k, v in json.load(open(f"{folder}/preprocessor_config.json")).items() if not k.endswith("_type")})
pixels = torch.from_numpy(np.stack([processor(Image.open(f"{folder}/{name}")).pixel_values[0] for name in own["images"]]))
longest = max(map(len, own["input_ids"]))
ids = torch.tensor([row + [2047] * (longest - len(row)) for row in own["input_ids"]])
mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in own["input_ids"]])
with torch.no_grad():
    out = model(input_ids=ids, attention_mask=mask, pixel_values=pixels)
rounded = lambda rows: [[round(float(v), 6) for v in row] for row in rows]
json.dump(dict(
    prepared=[dict(first=p.flatten()[:8].tolist(), sum=float(p.double().sum())) for p in pixels],
    image_embeds=rounded(out.image_embeds), text_embeds=rounded(out.text_embeds), logits_per_image=out.logits_per_image.tolist(),
), open("clip-emoji.json", "w"))
