"""Random tokenizers against transformers' AutoTokenizer of the same files: ids must be equal."""

import json
import warnings

import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from .common import Refusal, chance, code, longcode, reason, write_json

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
# Tokens that are learnt.
SIZE = 360


def split(pattern, behavior="isolated"):
    return pre_tokenizers.Split(Regex(pattern), behavior=behavior, invert=False)


def train(tokenizer, trainer, random):
    tokenizer.train_from_iterator([code(random, 8, 0.1) for _ in range(30)], trainer)
    return tokenizer


def byte_level(random, style):
    """Byte-level BPE with the pre-tokenizer of one family or another."""
    tokenizer = Tokenizer(models.BPE())
    prefix = chance(random, 0.2)
    level = lambda use_regex: pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=use_regex)
    match style:
        case "gpt2":
            tokenizer.pre_tokenizer = level(True)
        case "smollm":
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(individual_digits=True), level(True)]
            )
        case "qwen2":
            tokenizer.normalizer = normalizers.NFC()
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split(QWEN2), level(False)])
        case "llama3":
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split(LLAMA3), level(False)])
        case "deepseek":
            parts = [split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(r"[一-龥ࠀ-一가-퟿]+")]
            digits = pre_tokenizers.Digits(individual_digits=True)
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*parts, digits, level(False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    train(
        tokenizer,
        trainers.BpeTrainer(vocab_size=SIZE, initial_alphabet=alphabet, special_tokens=[], show_progress=False),
        random,
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=chance(random, 0.5)) if chance(random, 0.5) else None
    # DeepSeek's files name Llama's class, which transformers then does not take.
    classes = {
        "gpt2": "GPT2Tokenizer",
        "qwen2": "Qwen2Tokenizer",
        "deepseek": "LlamaTokenizer",
        "llama3": "LlamaTokenizer",
    }
    return tokenizer, classes.get(style)


def sentence_piece(random, style):
    """BPE with bytes for what it lacks, as Llama 2: the space by normalizers, as it is converted from SentencePiece, or
    by a pre-tokenizer."""
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if style == "legacy":
        replace = normalizers.Replace(" ", "▁")
        parts = [normalizers.Prepend("▁"), replace] if chance(random, 0.8) else [replace]
        tokenizer.normalizer = normalizers.Sequence(parts)
    else:
        scheme = random.choice(["first", "always", "never"])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
            replacement="▁", prepend_scheme=scheme, split=chance(random, 0.3)
        )
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=["<unk>", "<s>", "</s>", *bytes_], limit_alphabet=60, show_progress=False,
        max_token_length=8,
    )  # fmt: skip
    # Trained on words: without a pre-tokenizer a line would be one.
    kept = tokenizer.pre_tokenizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    train(tokenizer, trainer, random)
    tokenizer.pre_tokenizer = kept
    tokenizer = without_added(tokenizer, set(bytes_))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer, "LlamaTokenizer"


def without_added(tokenizer, contents):
    """Tokens of the vocabulary that are no added tokens: trainers make them so."""
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] not in contents]
    return Tokenizer.from_str(json.dumps(content))


# Classes that make their own parts: the tokens that they have, and whether they cut bytes.
CLASSES = {
    "gemma": (transformers.GemmaTokenizer, ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"], False),
    "codellama": (transformers.CodeLlamaTokenizer, ["<unk>", "<s>", "</s>", "▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>"], False),
    "gptneox": (transformers.GPTNeoXTokenizer, ["<|endoftext|>", "<|padding|>"], True),
    "cohere": (
        transformers.CohereTokenizer,
        ["<PAD>", "<UNK>", "<CLS>", "<SEP>", "<MASK_TOKEN>", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>"], True,
    ),
}  # fmt: skip


def of_class(random, style):
    """As a class of transformers saves it, some tokens of its own left out."""
    made_by, tokens, of_bytes = CLASSES[style]
    tokens = [token for token in tokens if chance(random, 0.95)]
    tokenizer = Tokenizer(models.BPE())
    bytes_ = [] if of_bytes else [f"<0x{byte:02X}>" for byte in range(256)]
    alphabet = pre_tokenizers.ByteLevel.alphabet() if of_bytes else []
    tokenizer.pre_tokenizer = (
        pre_tokenizers.ByteLevel(add_prefix_space=False) if of_bytes else pre_tokenizers.Metaspace(prepend_scheme="always")
    )
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=[*tokens, *bytes_], initial_alphabet=alphabet, limit_alphabet=300 if of_bytes else 60,
        show_progress=False, max_token_length=8,
    )  # fmt: skip
    content = json.loads(train(tokenizer, trainer, random).to_str())["model"]
    made = made_by(vocab=content["vocab"], merges=[tuple(pair) for pair in content["merges"]])
    return made._tokenizer, made_by.__name__


def unigram(random, style):
    tokenizer = Tokenizer(models.Unigram())
    parts = [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Lowercase(), normalizers.Strip()]
    tokenizer.normalizer = normalizers.Sequence(random.sample(parts, random.randrange(3)))
    scheme = random.choice(["first", "always", "never"])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=SIZE, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
    )
    train(tokenizer, trainer, random)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    return tokenizer, None


def word_piece(random, style):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=random.choice([100, 12])))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=chance(random, 0.5),
        strip_accents=random.choice([None, True, False]),
        handle_chinese_chars=chance(random, 0.5),
    )
    tokenizer.pre_tokenizer = random.choice([pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Whitespace()])
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    train(tokenizer, trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=special, show_progress=False), random)
    tokenizer.decoder = decoders.WordPiece()
    if chance(random, 0.5):
        marks = [(token, tokenizer.token_to_id(token)) for token in ["[CLS]", "[SEP]"]]
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks
        )
    return tokenizer, None


# style: (how it is made, how often)
STYLES = {
    "gpt2": (byte_level, 3), "smollm": (byte_level, 2), "qwen2": (byte_level, 3), "llama3": (byte_level, 3),
    "deepseek": (byte_level, 2), "legacy": (sentence_piece, 3), "metaspace": (sentence_piece, 3), "unigram": (unigram, 2),
    "wordpiece": (word_piece, 2), "gemma": (of_class, 2), "codellama": (of_class, 2), "gptneox": (of_class, 2),
    "cohere": (of_class, 2),
}  # fmt: skip
MODEL_TYPES = {
    "gpt2": ["starcoder2", "granite", "olmo2", "granitemoe", "olmo3"], "smollm": ["llama", "granite"],
    "qwen2": ["qwen2", "qwen3", "qwen2_moe", "qwen3_moe"], "llama3": ["llama", "smollm3", "seed_oss", "glm4", "gpt_oss"],
    "deepseek": ["llama", "deepseek_v2"], "legacy": ["llama", "mistral", "phi3", "ernie4_5", "mixtral"],
    "metaspace": ["llama", "mistral", "ernie4_5_moe"], "unigram": ["llama"], "wordpiece": ["llama"],
    "gemma": ["gemma2", "gemma3_text", "llama"], "codellama": ["llama", "mistral"], "gptneox": ["olmoe", "llama"],
    "cohere": ["cohere2", "llama"],
}  # fmt: skip
# Tokens beside the vocabulary, as files have them.
ADDED = [
    "<|im_start|>",
    "<|im_end|>",
    "<|fim_prefix|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "[INST]",
    "  ",
    "\t\t",
    "<file_sep>",
    "größe",
    "x1",
]


def flags(random, special):
    choose = lambda: chance(random, 0.15)
    return {
        "single_word": choose(),
        "lstrip": choose(),
        "rstrip": choose(),
        "normalized": chance(random, 0.5) and not special,
        "special": special,
    }


def add_in_file(random, content, vocabulary):
    """Added tokens of tokenizer.json: their ids go on after the vocabulary's; some name a token of it."""
    said = []
    taken = {token["content"] for token in content["added_tokens"]}
    for token in random.sample(ADDED, random.randrange(5)):
        if token not in taken:
            said.append(token)
            id = vocabulary.setdefault(token, len(vocabulary))
            content["added_tokens"].append({"id": id, "content": token, **flags(random, chance(random, 0.6))})
    content["added_tokens"].sort(key=lambda token: token["id"])
    return said


def special_tokens(random, style, content, vocabulary):
    """bos_token and the others of tokenizer_config.json, some of them in the vocabulary."""
    added = [token["content"] for token in content["added_tokens"]]
    has_own = style in ("legacy", "metaspace", "unigram")
    config = {}
    for key, own in [("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", None)]:
        if has_own and own and chance(random, 0.9):
            token = own
        elif style == "wordpiece":
            token = {"unk_token": "[UNK]", "pad_token": "[PAD]"}.get(key)
        elif chance(random, 0.5):
            token = random.choice([*added, "<|endoftext|>"] if chance(random, 0.9) else ["<|new|>"])
        else:
            token = None
        if token is None and chance(random, 0.5):
            continue
        as_object = token and chance(random, 0.3)
        config[key] = {"__type": "AddedToken", "content": token, **flags(random, True)} if as_object else token
    return config


def add_in_config(random, config, vocabulary):
    """Added tokens that tokenizer_config.json alone names, or with other flags than tokenizer.json."""
    said = []
    if chance(random, 0.4):
        decoder = config["added_tokens_decoder"] = {}
        for token in random.sample(ADDED, random.randrange(1, 4)):
            id = vocabulary.setdefault(token, len(vocabulary))
            decoder[str(id)] = {"content": token, **flags(random, chance(random, 0.5))}
        said.append(f"decoder {[token['content'] for token in decoder.values()]}")
    for key in ["additional_special_tokens", "extra_special_tokens"]:
        if chance(random, 0.15):
            config[key] = random.sample(ADDED, random.randrange(1, 3))
            said.append(f"{key} {config[key]}")
    return said


def older_files(random, directory, vocabulary):
    """The files that transformers before 4.34 wrote beside tokenizer_config.json."""
    said = []
    if chance(random, 0.15):
        special = {"bos_token": "<s>", "additional_special_tokens": random.sample(ADDED, 2)}
        special["eos_token"] = {"content": "</s>", **flags(random, True)}
        write_json(directory / "special_tokens_map.json", special)
        said.append(f"special_tokens_map {special['additional_special_tokens']}")
    if chance(random, 0.15):
        tokens = random.sample(ADDED, 2)
        write_json(
            directory / "added_tokens.json", {token: vocabulary.setdefault(token, len(vocabulary)) for token in tokens}
        )
        said.append(f"added_tokens {tokens}")
    return said


def set_rules(random, content, config, tokenizer_class):
    """What tokenizer_config.json says beside tokens."""
    for key, probability in [("add_bos_token", 0.4), ("add_eos_token", 0.2), ("add_prefix_space", 0.4)]:
        if chance(random, probability):
            config[key] = chance(random, 0.5)
    if chance(random, 0.1):
        config["legacy"] = chance(random, 0.5)
    config["clean_up_tokenization_spaces"] = chance(random, 0.5)
    config["model_max_length"] = random.choice([64, 1000000000000000019884624838656])
    names = [
        "PreTrainedTokenizerFast",
        "TokenizersBackend",
        tokenizer_class,
        tokenizer_class and tokenizer_class + "Fast",
        None,
    ]
    name = random.choice(names[2:4] if tokenizer_class and chance(random, 0.6) else names)
    if name:
        config["tokenizer_class"] = name
    pre_tokenizer = content.get("pre_tokenizer") or {}
    if name and name.startswith("LlamaTokenizer") and pre_tokenizer.get("type") == "Metaspace":
        # As the class has it: transformers 5 puts its own parts in the place of the file's.
        pre_tokenizer |= {"prepend_scheme": "first", "split": False}
    bos = config.get("bos_token")
    bos = bos["content"] if isinstance(bos, dict) else bos
    ids = {token["content"]: token["id"] for token in content["added_tokens"]}
    if content["post_processor"] is None and bos in ids and chance(random, 0.5):
        content["post_processor"] = bos_first(bos, ids[bos])
    if content["model"]["type"] == "BPE":
        content["model"]["ignore_merges"] = chance(random, 0.2)
    if chance(random, 0.1):
        content["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}


def bos_first(token, id):
    special, piece = {"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    pair = [special, piece, {"Sequence": {"id": "B", "type_id": 1}}]
    tokens = {token: {"id": token, "ids": [id], "tokens": [token]}}
    return {"type": "TemplateProcessing", "single": [special, piece], "pair": pair, "special_tokens": tokens}


def make(random, directory):
    """The files of one case, and what it is in words."""
    style = random.choices(list(STYLES), [often for _, often in STYLES.values()])[0]
    tokenizer, tokenizer_class = STYLES[style][0](random, style)
    content = json.loads(tokenizer.to_str())
    # Ids of all tokens, those included that are added beyond the vocabulary.
    vocabulary = dict(tokenizer.get_vocab(with_added_tokens=True))
    in_file = add_in_file(random, content, vocabulary)
    config = special_tokens(random, style, content, vocabulary)
    said = add_in_config(random, config, vocabulary)
    said += older_files(random, directory, vocabulary)
    set_rules(random, content, config, tokenizer_class)
    if content["model"].get("type") == "BPE" and chance(random, 0.5):
        # As before tokenizers 0.20.
        content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
    write_json(directory / "tokenizer.json", content)
    if chance(random, 0.95):
        write_json(directory / "tokenizer_config.json", config)
    model_type = random.choice(MODEL_TYPES[style])
    write_json(directory / "config.json", {"model_type": model_type})
    (directory / "text.txt").write_text(text(random, in_file, config), encoding="utf-8", newline="")
    shown = {
        key: value for key, value in config.items() if key.startswith(("add_", "bos", "tokenizer_class", "legacy"))
    }
    return f"{style} ({model_type}), added {in_file}, {'; '.join(said)} {json.dumps(shown, ensure_ascii=False)[:300]}"


def text(random, in_file, config):
    """Code and other text, with added tokens within it."""
    pieces = [random.choice(["", " ", "\n", "  "])]
    for _ in range(12):
        pieces.append(code(random, random.randrange(1, 3), 0.4))
        if chance(random, 0.7):
            around = [random.choice(["", " ", "  ", "\n", "a"]) for _ in range(2)]
            token = random.choice([*ADDED, *in_file, "<s>", "</s>", "<|endoftext|>", "[CLS]", "<|new|>", "<unk>"])
            pieces.append(around[0] + token + around[1])
    return "".join(pieces)


def expected(directory, reader=transformers.AutoTokenizer):
    """The ids that a class of transformers gives, without the EOS that it may add."""
    source = (directory / "text.txt").read_bytes().decode()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokenizer = reader.from_pretrained(directory)
        ids = tokenizer(source)["input_ids"]
        plain = tokenizer(source, add_special_tokens=False)["input_ids"]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of the tokenizers library is no Exception
        raise Refusal(reason(error))
    adds_at_end = len(ids) > len(plain) and ids[-len(plain) :] != plain
    return {"ids": ids[:-1] if adds_at_end and ids[-1] == tokenizer.eos_token_id else ids}


def ours(binary, directory, model=None):
    tokens = longcode(binary, "inspect", directory / "text.txt", "--tokenizer", model or directory, "--json")["tokens"]
    return {"ids": [token["id"] for token in tokens]}


def problem(expected, ours):
    """What differs; nothing where all agrees."""
    ours, theirs = ours["ids"], expected["ids"]
    if ours == theirs:
        return ""
    first = next((n for n, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    return f"{len(ours)} ids for {len(theirs)}, first at {first}: {ours[first : first + 6]} for {theirs[first : first + 6]}"
