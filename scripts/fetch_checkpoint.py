#!/usr/bin/env python3
"""Downloads a checkpoint from Hugging Face and saves it as longcode reads it.

    python3 scripts/fetch_checkpoint.py lmsys/vicuna-7b-v1.3    # into models/lmsys/vicuna-7b-v1.3

Not every repository has *.safetensors and tokenizer.json: older ones have pytorch_model*.bin and tokenizer.model, which
are converted here. Where they are there, `--download` of longcode does as well. Needs torch,
transformers and sentencepiece, and memory for the weights as they are stored (14 GB for 7B); a gated model needs
`huggingface-cli login` first.
"""

import argparse
import sys
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

MODELS = Path(__file__).resolve().parent.parent / "models"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("id", help="OWNER/NAME, or a directory")
    parser.add_argument("out", type=Path, nargs="?", help="directory to write [models/OWNER/NAME]")
    args = parser.parse_args()
    args.out = args.out or MODELS / args.id
    if args.out.exists():
        sys.exit(f"error: {args.out} is there already\n  fix: remove it, or name another directory")
    tokenizer = AutoTokenizer.from_pretrained(args.id)
    if not tokenizer.is_fast:
        sys.exit(f"error: {args.id} has a tokenizer that cannot be saved as tokenizer.json")
    model = AutoModelForCausalLM.from_pretrained(args.id, dtype="auto")
    # Beside its place first: a directory that is there is whole.
    part = args.out.with_name(args.out.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)
    part.rename(args.out)
    print(f"saved {args.out}")


if __name__ == "__main__":
    main()
