"""A tiny random vision model, and images of shapes for it to name."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from apprentice.training.datasets.rows import Row

SHAPES: Final = ("circle", "square", "triangle", "cross")
QUESTION: Final = "Which shape?"
SIDE: Final = 32
_SPECIAL: Final = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<image>")
_TEMPLATE: Final = (
    "{% for message in messages %}<|{{ message['role'] }}|>{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def eyes(folder: Path, seed: int = 0) -> None:
    """Save a random Llava of about 0.2 million parameters, with its processor."""
    import torch
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    torch.manual_seed(seed)
    words = _tokenizer()
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=SIDE,
            patch_size=8,
        ),
        text_config=LlamaConfig(
            vocab_size=len(words),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=256,
            initializer_range=0.2,  # so that answers can have a high probability
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        ),
        image_token_index=words.get_vocab()["<image>"],
        vision_feature_layer=-1,
    )
    size = {"height": SIDE, "width": SIDE}
    processor = LlavaProcessor(  # type: ignore[no-untyped-call]
        image_processor=CLIPImageProcessorPil(size=size, crop_size=size),
        tokenizer=words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_TEMPLATE,
    )
    folder.mkdir(parents=True, exist_ok=True)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)


def labelled_images(folder: Path, count: int, seed: int) -> list[Row]:
    """Draw images with random size, place and colour; return a dataset row for each."""
    from PIL import Image, ImageDraw

    folder.mkdir(parents=True, exist_ok=True)
    rng, rows = Random(seed), []
    for number in range(count):
        shape, name = SHAPES[number % len(SHAPES)], f"{seed}-{number}.png"
        image = Image.new("RGB", (SIDE, SIDE), _colour(rng, dark=True))
        _draw(ImageDraw.Draw(image), shape, rng)
        image.save(folder / name)
        question = [{"type": "image", "text": ""}, {"type": "text", "text": QUESTION}]
        answer = {"role": "assistant", "content": shape}
        rows.append({"messages": [{"role": "user", "content": question}, answer], "image": name})
    return rows


def name_shapes(model: Path, images: list[Path]) -> list[str]:
    """Return the most likely shape for each image, according to a model."""
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    network = AutoModelForImageTextToText.from_pretrained(model)
    processor: Any = AutoProcessor.from_pretrained(model)  # type: ignore[no-untyped-call]
    question = f"<|user|><image>{QUESTION}<|end|><|assistant|>"

    def odds(image: Any, shape: str) -> float:
        inputs = processor(images=image, text=question + shape, return_tensors="pt")
        with torch.no_grad():
            chances = network(**inputs).logits[0].log_softmax(-1)
        ids = inputs["input_ids"][0]
        start = len(ids) - len(shape)
        return sum(float(chances[at - 1, ids[at]]) for at in range(start, len(ids))) / len(shape)

    names = []
    for path in images:
        with Image.open(path) as file:
            image = file.convert("RGB")
        names.append(max(SHAPES, key=partial(odds, image)))
    return names


def _draw(pen: Any, shape: str, rng: Random) -> None:
    side = rng.randint(16, 24)
    x0, y0 = rng.randint(1, SIDE - side - 2), rng.randint(1, SIDE - side - 2)
    x1, y1, x_middle = x0 + side, y0 + side, x0 + side // 2
    fill = _colour(rng, dark=False)
    if shape == "circle":
        pen.ellipse((x0, y0, x1, y1), fill=fill)
    elif shape == "square":
        pen.rectangle((x0, y0, x1, y1), fill=fill)
    elif shape == "triangle":
        pen.polygon([(x_middle, y0), (x1, y1), (x0, y1)], fill=fill)
    else:
        pen.line((x0, y0, x1, y1), fill=fill, width=4)
        pen.line((x0, y1, x1, y0), fill=fill, width=4)


def _colour(rng: Random, *, dark: bool) -> tuple[int, ...]:
    return tuple(rng.randint(0, 60) if dark else rng.randint(150, 255) for _ in range(3))


def _tokenizer() -> Any:
    """Return a tokenizer of single bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={byte: at for at, byte in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token=_SPECIAL[0],
        eos_token=_SPECIAL[1],
        chat_template=_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
