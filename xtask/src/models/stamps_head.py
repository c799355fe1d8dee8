"""Fits the linear head of `vit-small-stamps` (stamps_head.safetensors beside this file) on the classes of features that
`vit-small-dinov2-224` gives of the pictures in Debian's tuxpaint-stamps-default, and says how good it is in cross-validation.

    pip install torch transformers pillow && cargo xtask fetch-models vit-small-dinov2-224
    apt-get download tuxpaint-stamps-default && dpkg-deb -x tuxpaint-stamps-default_*.deb DIR
    python stamps_head.py DIR/usr/share/tuxpaint/stamps MODELS/vit-small-dinov2-224
"""
import json, os, sys
import numpy as np, torch, transformers
from PIL import Image
from safetensors.torch import save_file

CLASSES = {
    "mammal": ["animals/mammals", "animals/marsupials"], "bird": ["animals/birds"], "fish": ["animals/fish"],
    "insect": ["animals/insects"], "flower": ["plants/flowers"], "tree": ["plants/trees"], "fruit": ["food/fruit"],
    "vegetable": ["food/vegetables"], "house": ["town/houses"], "monument": ["town/monuments"],
    "road sign": ["town/roadsigns"], "clothes": ["clothes"], "tool": ["household/tools"],
    "musical instrument": ["hobbies/music"], "planet": ["space/planets"], "vehicle": ["vehicles"],
}
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
stamps, model_folder = sys.argv[1:3]
torch.manual_seed(1)


def pictures():
    for label, folders in enumerate(CLASSES.values()):
        for folder in folders:
            for place, _, files in sorted(os.walk(f"{stamps}/{folder}")):
                for file in sorted(files):
                    if file.endswith(".png") and "_mirror" not in file and "_flip" not in file:
                        yield f"{place}/{file}", label


def pixels(path):
    picture = Image.open(path).convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(paper, picture).convert("RGB").resize((224, 224), Image.BICUBIC)
    return ((np.asarray(picture, np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)


def fit(x, y, decay):
    """Logistic regression on standardised features, the standardisation folded into the map."""
    mean, std = x.mean(0), x.std(0) + 1e-6
    w, b = torch.zeros(len(CLASSES), x.shape[1], requires_grad=True), torch.zeros(len(CLASSES), requires_grad=True)
    optimizer = torch.optim.LBFGS([w, b], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(((x - mean) / std) @ w.T + b, y) + decay * (w**2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return (w / std).contiguous(), b - (w * (mean / std)).sum(1)


items = list(pictures())
model = transformers.ViTModel.from_pretrained(model_folder, add_pooling_layer=False).eval()
features = []
with torch.no_grad():
    for path, _ in items:
        x = torch.from_numpy(pixels(path))
        both = torch.stack([x, x.flip(2)])  # A picture and its mirror image.
        features.append(model(both).last_hidden_state[:, 0])
x, y = torch.stack(features), torch.tensor([label for _, label in items])
# Folds with every class in each.
fold = torch.zeros(len(y), dtype=torch.long)
for label in range(len(CLASSES)):
    of_class = (y == label).nonzero()[:, 0]
    fold[of_class[torch.randperm(len(of_class))]] = torch.arange(len(of_class)) % 5
best = None
for decay in [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]:
    right = right5 = 0
    for k in range(5):
        w, b = fit(x[fold != k].flatten(0, 1), y[fold != k].repeat_interleave(2), decay)
        scores = x[fold == k][:, 0] @ w.T + b
        right += (scores.argmax(1) == y[fold == k]).sum().item()
        right5 += (scores.topk(3).indices == y[fold == k][:, None]).any(1).sum().item()
    print(f"decay {decay}: top-1 {right / len(y):.3f}, top-3 {right5 / len(y):.3f} of {len(y)} pictures")
    best = max(best or (0, 0), (right, decay))
w, b = fit(x.flatten(0, 1), y.repeat_interleave(2), best[1])
here = os.path.dirname(os.path.abspath(__file__))
save_file({"classifier.weight": w, "classifier.bias": b.contiguous()}, f"{here}/stamps_head.safetensors",
          {"labels": json.dumps(list(CLASSES))})
print("largest class", max((y == k).sum().item() for k in range(len(CLASSES))) / len(y), "decay", best[1])
