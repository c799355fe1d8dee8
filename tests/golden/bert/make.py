"""Makes the small random checkpoints of this folder and their golden numbers, by transformers 5.23 and torch 2.15 on a processor.

Faithful in architecture, names and files, random in weights (scaled so that softmaxes are not flat): they prove numbers, not quality.
    pip install torch transformers && python make.py
"""
import json, os, shutil
import torch, transformers as tf
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
TEXTS = ["The cat sits outside.", "A dog!", "The river rises in the northern hills, and then it falls to the sea.", "cat"]
GAPS = ["The {m} sits outside.", "A {m} and a {m} rise in the hills.", "{m}", "The river {m} in the northern hills, and then it falls to the {m}."]
CORPUS = TEXTS * 4 + ["and a rise in the hills", "sea river dog cat sits falls", "northern outside then"] * 4


def wordpiece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=160, special_tokens=special, show_progress=False))
    t.decoder = decoders.WordPiece()
    t.post_processor = processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]")))
    return t, "[MASK]", dict(tokenizer_class="BertTokenizer", mask_token="[MASK]", pad_token="[PAD]")


def byte_level():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=380, special_tokens=special, show_progress=False,
                                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    from tokenizers import AddedToken
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    mask = {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False}
    return t, "<mask>", dict(tokenizer_class="RobertaTokenizer", mask_token=mask, pad_token="<pad>")


def make(name, model_class, config, tokenizer, change=lambda tensors: tensors, files={}):
    tokenizer, mask, tokenizer_config = tokenizer
    torch.manual_seed(len(name))
    config.vocab_size = tokenizer.get_vocab_size()
    model = model_class(config).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if p.ndim >= 2: p.mul_(10.0)
            elif key.endswith("weight"): p.add_(torch.randn_like(p) * 0.1)
            else: p.add_(torch.randn_like(p) * 0.1)
    folder = f"{HERE}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    os.remove(f"{folder}/generation_config.json") if os.path.exists(f"{folder}/generation_config.json") else None
    tensors = change(load_file(f"{folder}/model.safetensors"))
    save_file(tensors, f"{folder}/model.safetensors", {"format": "pt"})
    if any(t.dtype == torch.float16 for t in tensors.values()):  # What the file holds is what is computed with.
        model = model_class.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer.save(f"{folder}/tokenizer.json")
    for file, content in {"tokenizer_config.json": tokenizer_config, **files}.items():
        os.makedirs(os.path.dirname(f"{folder}/{file}"), exist_ok=True)
        json.dump(content, open(f"{folder}/{file}", "w"), indent=1)
    return model, tokenizer, mask


def hidden_of(model, ids):
    with torch.no_grad():
        return getattr(model, model.base_model_prefix, model)(torch.tensor([ids])).last_hidden_state[0]


def golden(name, model, tokenizer, mask, pool, gaps=GAPS, most=10**9):
    out = {"embeddings": [], "gaps": []}
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        ids = ids if len(ids) <= most else ids[: most - 1] + ids[-1:]
        hidden = hidden_of(model, ids)
        out["embeddings"].append({"text": text, "ids": ids, "vector": pool(hidden).tolist(), "hidden": hidden.tolist()})
    for text in gaps:
        text = text.format(m=mask)
        ids = tokenizer.encode(text).ids
        with torch.no_grad(): logits = model(torch.tensor([ids])).logits[0]
        rows = [i for i, token in enumerate(ids) if token == tokenizer.token_to_id(mask)]
        found = [[[int(i), float(p)] for p, i in zip(*logits[row].softmax(-1).topk(5))] for row in rows]
        out["gaps"].append({"text": text, "ids": ids, "logits": [logits[row].tolist() for row in rows], "top": found})
    json.dump(out, open(f"{HERE}/{name}/golden.json", "w"))


unit = lambda x: torch.nn.functional.normalize(x.mean(0), dim=0)
sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
old_names = lambda ts: {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t for k, t in ts.items()}

golden("bert", *make("bert", tf.BertForMaskedLM, tf.BertConfig(**sizes, max_position_embeddings=64), wordpiece(), old_names), unit)
golden("distilbert", *make("distilbert", tf.DistilBertForMaskedLM,
       tf.DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=48, activation="gelu"), wordpiece(),
       lambda ts: {k: t.half() for k, t in ts.items()}), unit)
golden("roberta", *make("roberta", tf.RobertaForMaskedLM,
       tf.RobertaConfig(**sizes, max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2), byte_level()), unit)
modules = [dict(idx=0, name="0", path="", type="sentence_transformers.models.Transformer"),
           dict(idx=1, name="1", path="1_Pooling", type="sentence_transformers.models.Pooling")]
cls = dict(word_embedding_dimension=32, pooling_mode_cls_token=True, pooling_mode_mean_tokens=False, pooling_mode_max_tokens=False,
           pooling_mode_mean_sqrt_len_tokens=False)
golden("sentence-cls", *make("sentence-cls", tf.BertModel, tf.BertConfig(**sizes, hidden_act="relu", max_position_embeddings=64), wordpiece(),
       files={"modules.json": modules, "1_Pooling/config.json": cls, "sentence_bert_config.json": dict(max_seq_length=12, do_lower_case=False)}),
       lambda x: x[0], [], 12)
